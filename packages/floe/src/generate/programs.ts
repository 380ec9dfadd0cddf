/** The graphs of a runner's steps, recorded and compiled when they are first wanted, and kept. */
import { type Device, type Graph, Recorder, whole } from '../gpu/index.ts';
import { argmax, sample } from '../kernels/index.ts';
import type { KvPool } from '../kv/index.ts';
import {
  type Activations,
  type PlacedModel,
  recordChunk,
  recordDecode,
  recordHead,
  recordSpan,
} from '../model/index.ts';
import type { ChunkProgram, PromptPrograms, SpanProgram } from './prompt.ts';
import type { DecodeProgram } from './step.ts';

/** What picks the next id. */
export type Pick = 'greedy' | 'sample';

/** Graphs of prompts kept; one of another length is recorded when it comes. */
const KEPT_GRAPHS = 8;

/** What graphs read and write beside weights. */
export interface ProgramBuffers {
  readonly kv: KvPool;
  readonly s: Activations;
  readonly sampled: GPUBuffer;
  readonly sampling: GPUBuffer;
}

export class Programs implements PromptPrograms {
  private readonly kept = new Map<string, Promise<{ readonly graph: Graph }>>();

  constructor(
    private readonly device: Device,
    private readonly model: PlacedModel,
    private readonly buffers: ProgramBuffers,
  ) {}

  /** A step of one token; with `guessAhead`, each layer also guesses what the layer so many later will choose. */
  decode(pick: Pick, guessAhead = 0): Promise<DecodeProgram> {
    const { kv, s } = this.buffers;
    return this.program(`decode ${pick} ${guessAhead}`, (rec) => {
      const cuts = recordDecode(rec, this.model, kv, s, guessAhead);
      this.recordPick(rec, pick);
      return { cuts: { ...cuts, end: rec.nRecorded }, guessAhead };
    });
  }

  /** A chunk of a prompt, but for its experts. */
  chunk(nTokens: number): Promise<ChunkProgram> {
    const { kv, s } = this.buffers;
    return this.program(`chunk ${nTokens}`, (rec) => ({ borders: recordChunk(rec, this.model, kv, s, nTokens) }));
  }

  /** The experts of a span of a prompt. */
  span(nTokens: number): Promise<SpanProgram> {
    return this.program(`span ${nTokens}`, (rec) => ({ cuts: recordSpan(rec, this.model, this.buffers.s, nTokens) }));
  }

  /** Logits of rows of the residual stream, and an id picked from the first where that is wanted. */
  head(nRows: number, pick: Pick | null): Promise<{ readonly graph: Graph }> {
    const { s } = this.buffers;
    return this.program(`head ${nRows} ${pick}`, (rec) => {
      recordHead(rec, this.model, s, s.headIn, nRows);
      if (pick) this.recordPick(rec, pick);
      return {};
    });
  }

  /** Waits for what is still being compiled, and gives everything back. */
  async destroy(): Promise<void> {
    const programs = await Promise.allSettled(this.kept.values());
    for (const program of programs) if (program.status === 'fulfilled') program.value.graph.destroy();
  }

  private recordPick(rec: Recorder, pick: Pick): void {
    const { s, sampled, sampling } = this.buffers;
    const { nVocab } = this.model.plan;
    const common = { logits: s.logits, sampled: whole(sampled), tokens: s.tokens, nRows: 1, nVocab };
    if (pick === 'greedy') argmax(rec, common);
    else sample(rec, { ...common, sampling: whole(sampling) });
  }

  /** The graph of that name, recorded and compiled if it is not kept. */
  private program<T extends object>(key: string, record: (rec: Recorder) => T): Promise<T & { readonly graph: Graph }> {
    const kept = this.kept.get(key) as Promise<T & { readonly graph: Graph }> | undefined;
    const program = kept ?? this.record(key, record);
    // Last used, last in the map.
    this.kept.delete(key);
    this.kept.set(key, program);
    this.dropOldest();
    return program;
  }

  private record<T extends object>(key: string, record: (rec: Recorder) => T): Promise<T & { readonly graph: Graph }> {
    const rec = new Recorder(this.device, this.buffers.s.fault);
    const made = record(rec);
    const program = rec.finish(key).then((graph) => ({ ...made, graph }));
    // One that failed is not kept: the next call tries again.
    program.catch(() => this.kept.delete(key));
    return program;
  }

  /** Drops the graphs of prompts that were not used for longest; those of one token stay. */
  private dropOldest(): void {
    for (const kind of ['chunk', 'span']) {
      const prompts = [...this.kept].filter(([key]) => key.startsWith(kind));
      if (prompts.length <= KEPT_GRAPHS) continue;
      const [key, program] = prompts[0]!;
      this.kept.delete(key);
      program.then(({ graph }) => graph.destroy()).catch(() => {});
    }
  }
}
