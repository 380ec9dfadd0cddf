/** A model's adapters in its own thread: what is read, what acts, and whose turn it is to change that. */
import { orAborted, RequestError } from '../errors/index.ts';
import { readGguf } from '../gguf/index.ts';
import type { Device } from '../gpu/index.ts';
import type { Host } from '../host/index.ts';
import { type AdapterPlan, type PlacedAdapter, type PlacedModel, placeAdapter, planAdapter } from '../model/index.ts';
import { openWeights } from '../store/index.ts';
import type { AdapterRoom } from './adapterRoom.ts';
import type { Adapter, AdapterInfo, AdapterOptions, AdapterSource, ModelAdapters } from './adapterTypes.ts';
import { invalid } from './check.ts';
import { fetchOptions } from './fetchOptions.ts';
import { hashedReads } from './fingerprint.ts';
import type { ModelInfo } from './types.ts';

export interface AdaptedModel {
  readonly host: Host;
  readonly device: Device;
  readonly placed: PlacedModel;
  readonly adapterRoom: AdapterRoom;
  readonly info: Pick<ModelInfo, 'architecture'>;
  readonly engine: { readonly adaptersChanged: () => Promise<void>; readonly warmUp: () => Promise<void> };
  /** Resolves when nothing runs, with the function that lets others run again. Of what was computed nothing is kept. */
  readonly alone: (signal: AbortSignal) => Promise<() => void>;
  /** Fires with the call's own signal, and when the model is unloaded. */
  readonly signalOf: (call: { readonly signal?: AbortSignal }) => AbortSignal;
}

/** To a model's set of adapters. */
interface Change {
  readonly apply: () => void;
  readonly undo: () => void;
  /** What else is done before others go on. */
  readonly after?: () => Promise<void>;
}

export class LocalAdapters implements ModelAdapters {
  private readonly adapters = new Map<number, LocalAdapter>();
  private readonly coming = new Set<Promise<unknown>>();
  private nAdded = 0;

  constructor(private readonly model: AdaptedModel) {}

  async add(source: AdapterSource, options: AdapterOptions = {}): Promise<Adapter> {
    const { scale = 1 } = options;
    checkScale(scale);
    const adding = this.read(source, options, scale);
    this.coming.add(adding);
    return adding.finally(() => this.coming.delete(adding));
  }

  async list(): Promise<readonly AdapterInfo[]> {
    return [...this.adapters.values()].map((adapter) => adapter.info());
  }

  /** Which act, by the hashes of their weights, and how much: what is computed depends on it. */
  acting(): string {
    const all = [...this.adapters.values()];
    return JSON.stringify(all.map(({ sha256, scale }) => [sha256, scale]));
  }

  /** Resolves when none is on its way. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.coming);
  }

  /** Changes what acts, when it is this call's turn. What fails is undone, and the first error is the one to tell. */
  private async change(signal: AbortSignal, { apply, undo, after }: Change): Promise<void> {
    const { engine, alone } = this.model;
    const leave = await alone(signal);
    try {
      apply();
      await engine.adaptersChanged();
      await after?.();
    } catch (error) {
      undo();
      await engine.adaptersChanged().catch(() => {});
      throw error;
    } finally {
      leave();
    }
  }

  async remove(adapter: LocalAdapter): Promise<void> {
    if (!this.adapters.has(adapter.id)) return;
    const { placed, signalOf } = this.model;
    // Two may have asked.
    let isMine = false;
    const apply = () => {
      placed.adapters.remove(adapter.placed);
      isMine = this.adapters.delete(adapter.id);
    };
    await this.change(signalOf({}), { apply, undo: () => {} });
    if (isMine) this.giveBack(adapter.placed);
  }

  async setScale(adapter: LocalAdapter, scale: number): Promise<void> {
    checkScale(scale);
    if (scale === adapter.scale && this.adapters.has(adapter.id)) return;
    const before = adapter.scale;
    const weigh = (by: number) => {
      adapter.placed.scale = by;
    };
    const apply = () => {
      if (!this.adapters.has(adapter.id)) throw removedError(adapter.name);
      weigh(scale);
    };
    await this.change(this.model.signalOf({}), { apply, undo: () => weigh(before) });
  }

  private async read(source: AdapterSource, options: AdapterOptions, scale: number): Promise<Adapter> {
    const { placed, engine, signalOf } = this.model;
    const signal = signalOf(options);
    const { name, sha256, adapter } = await this.place(source, options, signal);
    adapter.scale = scale;
    const handle = new LocalAdapter(this, ++this.nAdded, name, sha256, adapter);
    // Named and acting at once: a conversation that is saved says what acts on it.
    const change: Change = {
      apply: () => {
        placed.adapters.add(adapter);
        this.adapters.set(handle.id, handle);
      },
      undo: () => {
        placed.adapters.remove(adapter);
        this.adapters.delete(handle.id);
      },
      // Compiled now, so that the next answer need not wait for it.
      after: () => orAborted(engine.warmUp(), signal),
    };
    await this.change(signal, change).catch((error: unknown) => {
      this.giveBack(adapter);
      throw error;
    });
    return handle;
  }

  private async place(source: AdapterSource, options: AdapterOptions, signal: AbortSignal) {
    const { host, device, adapterRoom } = this.model;
    let plan: AdapterPlan | null = null;
    // Once more where a stored header turns out to be another's.
    const planned = (made: AdapterPlan) => {
      if (plan) adapterRoom.give(plan);
      plan = null;
      adapterRoom.take(made);
      plan = made;
    };
    try {
      const opened = await this.open(source, options, signal, planned);
      try {
        const file = opened.name.split(/[/\\]/).pop() ?? opened.name;
        const name = opened.header.metadata.optionalString('general.name') ?? file;
        const hashed = hashedReads(host, opened.weights.read);
        const adapter = await placeAdapter(device, plan!, hashed.read, signal);
        const digest = hashed.digest(adapter.plan.pairs.map(({ scale }) => scale));
        const sha256 = await digest.catch((error: unknown) => {
          adapter.destroy();
          throw error;
        });
        return { name, sha256, adapter };
      } finally {
        await opened.weights.close();
      }
    } catch (error) {
      if (plan) adapterRoom.give(plan);
      throw error;
    }
  }

  private open(
    source: AdapterSource,
    options: AdapterOptions,
    signal: AbortSignal,
    planned: (plan: AdapterPlan) => void,
  ) {
    const { host, placed, info } = this.model;
    return openWeights(host, source, {
      readHeader: (bytes, abort) => readGguf(bytes, { clock: host.clock, ...(abort ? { signal: abort } : {}) }),
      makePlans: (gguf) => {
        const plan = planAdapter(gguf, info.architecture, placed.plan);
        planned(plan);
        return plan.records;
      },
      ...fetchOptions(options),
      signal,
    });
  }

  private giveBack(adapter: PlacedAdapter): void {
    adapter.destroy();
    this.model.adapterRoom.give(adapter.plan);
  }
}

class LocalAdapter implements Adapter {
  constructor(
    private readonly owner: LocalAdapters,
    readonly id: number,
    readonly name: string,
    /** Of its weights and their scales, in hex. */
    readonly sha256: string,
    readonly placed: PlacedAdapter,
  ) {}

  get scale(): number {
    return this.placed.scale;
  }

  get nTensors(): number {
    return this.placed.plan.pairs.length;
  }

  get rank(): number {
    return Math.max(...this.placed.plan.pairs.map(({ rank }) => rank));
  }

  get gpuBytes(): number {
    return this.placed.gpuBytes;
  }

  setScale(scale: number): Promise<void> {
    return this.owner.setScale(this, scale);
  }

  remove(): Promise<void> {
    return this.owner.remove(this);
  }

  info(): AdapterInfo {
    const { id, name, scale, nTensors, rank, gpuBytes } = this;
    return { id, name, scale, nTensors, rank, gpuBytes };
  }
}

function checkScale(scale: unknown): void {
  if (typeof scale !== 'number' || !Number.isFinite(scale)) throw invalid('scale', String(scale), 'a finite number');
}

function removedError(name: string): RequestError {
  return new RequestError('request/invalid', `The adapter ${name} was removed.`, {
    remedy: 'Add it again with `model.adapters.add()`.',
  });
}
