/** The page's side of a model's adapters. */
import type { Adapter, AdapterInfo, AdapterOptions, AdapterSource, ModelAdapters } from '../api/index.ts';
import { pageFetch } from './fetchBridge.ts';
import { type Send, wireSource } from './protocol.ts';

export class WorkerAdapters implements ModelAdapters {
  constructor(private readonly call: Send) {}

  async add(source: AdapterSource, options: AdapterOptions = {}): Promise<Adapter> {
    const { signal, fetch, ...rest } = options;
    const wire = wireSource(source);
    const info = await this.call(signal, (worker, call) => worker.addAdapter(call, wire, rest, pageFetch(fetch)));
    return new WorkerAdapter(this.call, info);
  }

  list(): Promise<readonly AdapterInfo[]> {
    return this.call(undefined, (worker) => worker.adapters());
  }
}

class WorkerAdapter implements Adapter {
  readonly id: number;
  readonly name: string;
  readonly nTensors: number;
  readonly rank: number;
  readonly gpuBytes: number;
  scale: number;

  constructor(
    private readonly call: Send,
    info: AdapterInfo,
  ) {
    this.id = info.id;
    this.name = info.name;
    this.nTensors = info.nTensors;
    this.rank = info.rank;
    this.gpuBytes = info.gpuBytes;
    this.scale = info.scale;
  }

  async setScale(scale: number): Promise<void> {
    await this.call(undefined, (worker) => worker.scaleAdapter(this.id, scale));
    this.scale = scale;
  }

  async remove(): Promise<void> {
    await this.call(undefined, (worker) => worker.removeAdapter(this.id));
  }
}
