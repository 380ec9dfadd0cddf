/** Decodes token by token under one schedule, and keeps what each token missed. */
import { DECODE, type Trace } from '../packages/floe/src/experts/index.ts';
import { Decoder } from '../packages/floe/src/generate/decoder.ts';
import { Engine, type Schedule } from '../packages/floe/src/generate/index.ts';
import type { DecodeProgram } from '../packages/floe/src/generate/step.ts';
import type { TokenRoutes } from '../packages/floe/src/generate/stepRoutes.ts';
import type { Seat } from '../packages/floe/src/generate/steps.ts';
import { type Device, Recorder, readBuffer, whole } from '../packages/floe/src/gpu/index.ts';
import { systemClock } from '../packages/floe/src/host/index.ts';
import { argmax, denseStage } from '../packages/floe/src/kernels/index.ts';
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

/** An engine's buffers and schedule, a decode step of its own and the decoder that runs it. */
export class Stepper {
  /** Where the next token goes. */
  position = 0;
  /** The last token's routes. */
  routes: TokenRoutes | null = null;
  private readonly seat: Seat;

  private constructor(
    private readonly device: Device,
    readonly model: PlacedModel,
    readonly engine: Engine,
    readonly decoder: Decoder,
    readonly program: DecodeProgram,
    private readonly sampled: GPUBuffer,
    private readonly replay: Replay | undefined,
  ) {
    this.seat = engine.open().seat;
    decoder.onRoutes = (routes) => {
      this.routes = routes;
    };
  }

  static async make(device: Device, model: PlacedModel, options: StepperOptions = {}): Promise<Stepper> {
    const { schedule = {}, replay, guessAhead = 0 } = options;
    const engine = new Engine(device, model, CONTEXT, systemClock, schedule);
    const { kv } = engine;
    const { s } = engine.steps;
    const sampled = device.buffers.storage('activations', 'sampled', 256);
    const rec = replay ? new ReplayRecorder(device, s.fault, replay, guessAhead) : new Recorder(device, s.fault);
    const cuts = recordDecode(rec, model, kv, s, { nRows: 1, guessAhead });
    const { nVocab, shape } = model.plan;
    const stage = denseStage(shape.nRoutedLayers);
    argmax(rec, { logits: s.logits, sampled: whole(sampled), tokens: s.tokens, nRows: 1, nVocab, stage });
    const program = { graph: await rec.finish('decode'), cuts: { ...cuts, end: rec.nRecorded }, guessAhead, nRows: 1 };
    if (rec instanceof ReplayRecorder && rec.nReplaced < cuts.layers.length) throw new Error('routing is not replayed');
    const decoder = new Decoder(device, s, sampled, model.experts, engine.schedule, systemClock);
    return new Stepper(device, model, engine, decoder, program, sampled, replay);
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
    const { s } = this.engine.steps;
    const write = ({ buffer }: { buffer: GPUBuffer }, values: Uint32Array | Float32Array) =>
      this.device.write(buffer, 0, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    if (token !== undefined) this.replay!.write(token);
    if (id !== undefined) write(s.tokens, Uint32Array.of(id));
    this.goTo(this.position);
    this.place();
    this.position++;
    const schedule = this.engine.schedule.choose(this.model.experts!.allResident);
    const ids = how === 'whole' ? this.decoder.submit(this.program).wait() : this.decoder.run(this.program, schedule);
    return (await ids)[0]!;
  }

  /** Whoever begins a text again sets the position back; keys that are skipped are there, whatever they hold. */
  private goTo(position: number): void {
    const { sequence } = this.seat;
    if (sequence.length > position) sequence.rewind(position);
    const { chunkTokens } = this.engine.kv.window;
    while (sequence.length < position) sequence.extend(Math.min(chunkTokens, position - sequence.length));
  }

  private place(): void {
    const { sequence, row } = this.seat;
    const step = sequence.extend(1);
    this.engine.kv.prepare(row, step);
    this.engine.places.write(this.engine.steps.s, [{ position: step.first, row }]);
  }

  /** Of the last step, bit for bit: [nVocab]. */
  async logits(): Promise<Uint32Array> {
    const { nVocab } = this.model.plan;
    return new Uint32Array(await readBuffer(this.device, this.engine.steps.s.logits.buffer, 0, nVocab * 4));
  }

  async destroy(): Promise<void> {
    this.decoder.destroy();
    this.program.graph.destroy();
    this.device.buffers.destroy(this.sampled);
    await this.engine.destroy();
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
