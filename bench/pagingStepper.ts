/** Decodes token by token under one schedule, and keeps what each token missed. */
import { DECODE, type Trace } from '../packages/floe/src/experts/index.ts';
import { Decoder } from '../packages/floe/src/generate/decoder.ts';
import { Runner, type Schedule } from '../packages/floe/src/generate/index.ts';
import type { DecodeProgram } from '../packages/floe/src/generate/step.ts';
import type { TokenRoutes } from '../packages/floe/src/generate/tokenRoutes.ts';
import { type Device, Recorder, readBuffer, whole } from '../packages/floe/src/gpu/index.ts';
import { systemClock } from '../packages/floe/src/host/index.ts';
import { argmax } from '../packages/floe/src/kernels/index.ts';
import { type PlacedModel, recordDecode } from '../packages/floe/src/model/index.ts';
import { CONTEXT } from './pagingModel.ts';
import { type Replay, ReplayRecorder } from './pagingReplay.ts';

export interface StepperOptions {
  readonly schedule?: Partial<Schedule>;
  /** By itself the model routes. */
  readonly replay?: Replay | undefined;
  /** Layers from a guess to what it is for; by itself none is made. */
  readonly guessAhead?: number;
}

/** A runner's buffers and schedule, a decode step of its own and the decoder that runs it. */
export class Stepper {
  /** Where the next token goes. */
  position = 0;
  /** The last token's routes. */
  routes: TokenRoutes | null = null;

  private constructor(
    private readonly device: Device,
    readonly model: PlacedModel,
    readonly runner: Runner,
    readonly decoder: Decoder,
    readonly program: DecodeProgram,
    private readonly sampled: GPUBuffer,
    private readonly replay: Replay | undefined,
  ) {
    decoder.onRoutes = (routes) => {
      this.routes = routes;
    };
  }

  static async make(device: Device, model: PlacedModel, options: StepperOptions = {}): Promise<Stepper> {
    const { schedule = {}, replay, guessAhead = 0 } = options;
    const runner = new Runner(device, model, CONTEXT, systemClock, schedule);
    const { s, kv } = runner;
    const sampled = device.buffers.storage('activations', 'sampled', 256);
    const rec = replay ? new ReplayRecorder(device, s.fault, replay, guessAhead) : new Recorder(device, s.fault);
    const cuts = recordDecode(rec, model, kv, s, guessAhead);
    argmax(rec, { logits: s.logits, sampled: whole(sampled), tokens: s.tokens, nRows: 1, nVocab: model.plan.nVocab });
    const program = { graph: await rec.finish('decode'), cuts: { ...cuts, end: rec.nRecorded }, guessAhead };
    if (rec instanceof ReplayRecorder && rec.nReplaced < cuts.layers.length) throw new Error('routing is not replayed');
    const decoder = new Decoder(device, s, sampled, model.experts, runner.schedule, systemClock);
    return new Stepper(device, model, runner, decoder, program, sampled, replay);
  }

  /** The schedule learns the way to the host, as far as its memory goes. */
  async calibrate(): Promise<void> {
    for (let i = 0; i < 5; i++) await this.decoder.calibrate();
  }

  /**
   * One token: `token` of the replayed trace, or with the id given in place of the one the last step picked. 'whole' asks
   * for no expert, as where none can be missing.
   */
  async step(how: 'paged' | 'whole', { token, id }: { token?: number; id?: number | undefined } = {}): Promise<number> {
    const { s } = this.runner;
    const write = ({ buffer }: { buffer: GPUBuffer }, values: Uint32Array | Float32Array) =>
      this.device.write(buffer, 0, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    if (token !== undefined) this.replay!.write(token);
    if (id !== undefined) write(s.tokens, Uint32Array.of(id));
    this.goTo(this.position);
    this.runner.place(1);
    this.position++;
    if (how === 'whole') return this.decoder.submit(this.program).wait();
    return this.decoder.run(this.program);
  }

  /** Whoever begins a text again sets the position back; keys that are skipped are there, whatever they hold. */
  private goTo(position: number): void {
    const { runner } = this;
    if (runner.length > position) runner.rewind(position);
    const { chunkTokens } = runner.s.sizes;
    while (runner.length < position) runner.place(Math.min(chunkTokens, position - runner.length));
  }

  /** Of the last step, bit for bit: [nVocab]. */
  async logits(): Promise<Uint32Array> {
    const { nVocab } = this.model.plan;
    return new Uint32Array(await readBuffer(this.device, this.runner.s.logits.buffer, 0, nVocab * 4));
  }

  async destroy(): Promise<void> {
    this.decoder.destroy();
    this.program.graph.destroy();
    this.device.buffers.destroy(this.sampled);
    await this.runner.destroy();
  }
}

/** What a text's tokens are routed to, each put through as a decode step. `nPromptTokens`: how many are no answer. */
export async function routesOf(stepper: Stepper, ids: readonly number[], nPromptTokens: number): Promise<TraceTokens> {
  const tokens: TraceTokens = [];
  stepper.position = 0;
  for (const [i, id] of ids.entries()) {
    await stepper.step('whole', { id });
    const { ids: chosen, weights } = stepper.routes!;
    tokens.push({ phase: i < nPromptTokens ? 0 : DECODE, ids: chosen, weights: shares(weights, stepper) });
  }
  return tokens;
}

export type TraceTokens = { phase: number; ids: Uint16Array; weights: Float32Array }[];

/** A trace of those tokens. */
export function traceOf(model: PlacedModel, name: string, tokens: TraceTokens): Trace {
  const { nLayers, nExperts, nExpertsUsed } = model.plan.shape;
  const n = nLayers * nExpertsUsed;
  const trace = {
    model: name,
    ...{ nLayers, nExperts, nExpertsUsed },
    slotBytes: model.plan.layers.map(({ experts }) => experts!.records[0]!.sizeBytes),
    nTokens: tokens.length,
    ids: new Uint16Array(tokens.length * n),
    weights: new Float32Array(tokens.length * n),
    phases: Uint8Array.from(tokens, ({ phase }) => phase),
  };
  for (const [i, { ids, weights }] of tokens.entries()) {
    trace.ids.set(ids, i * n);
    trace.weights.set(weights, i * n);
  }
  return trace;
}

/** Of each layer's weights, which the GPU leaves as exp(logit - max): they sum to one. */
function shares(weights: Float32Array, { model }: Stepper): Float32Array {
  const { nExpertsUsed } = model.plan.shape;
  return weights.map((weight, i) => {
    const first = i - (i % nExpertsUsed);
    return weight / weights.subarray(first, first + nExpertsUsed).reduce((sum, one) => sum + one, 0);
  });
}
