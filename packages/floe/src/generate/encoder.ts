/**
 * Makes a vector of a text. Layer by layer over all of it, in chunks, since its tokens may see ahead: memory is that of a
 * chunk, one layer's keys and values and the residual stream, however many layers there are.
 */
import { ContextError } from '../errors/index.ts';
import { type BufferView, type Device, type Graph, Readback } from '../gpu/index.ts';
import { KvPool } from '../kv/index.ts';
import {
  type Activations,
  type ContextPlan,
  contextPlan,
  kvShape,
  kvWindow,
  makeActivations,
  type PlacedModel,
  type Pooling,
  recordText,
  stepSizes,
  type TextCuts,
} from '../model/index.ts';
import { rowStride } from '../quant/index.ts';
import { KeptGraphs } from './keptGraphs.ts';
import { Places } from './places.ts';
import { pooled, READ_ROWS, unitVector } from './pooling.ts';
import { Submissions } from './submissions.ts';

/** A text as long as questions are: its kernels are compiled beforehand. */
const USUAL_TOKENS = 16;

interface TextProgram {
  readonly graph: Graph;
  readonly cuts: TextCuts;
}

interface Chunk extends TextProgram {
  readonly first: number;
  readonly ids: readonly number[];
}

/** Dispatches of a chunk, and what they do with its rows of the whole text: take them from there, leave them there. */
interface Part {
  readonly from: number;
  readonly to: number;
  readonly takes: boolean;
  readonly leaves: BufferView | null;
}

/** Texts one after another, each from nothing. */
export class Encoder {
  readonly context: ContextPlan;
  readonly pooling: Pooling;
  readonly s: Activations;
  private readonly kv: KvPool;
  private readonly places: Places;
  private readonly readback: Readback;
  /** Of a row of the residual stream. */
  private readonly rowBytes: number;
  /** A text of another length has its own. */
  private readonly graphs: KeptGraphs;

  constructor(
    readonly device: Device,
    readonly model: PlacedModel,
    /** The longest text; or a number of tokens, whose keys and values are kept in F32. */
    context: ContextPlan | number,
    /** For tests: tokens that go through a layer together. */
    chunkTokens?: number,
  ) {
    const { plan } = model;
    this.context = contextPlan(context);
    this.pooling = plan.description.pooling!;
    this.rowBytes = rowStride(plan.shape.modelDim) * 4;
    this.readback = new Readback(device, READ_ROWS * this.rowBytes);
    const sizes = stepSizes(plan, this.context);
    this.s = makeActivations(device, plan, { ...sizes, chunkTokens: chunkTokens ?? sizes.chunkTokens });
    this.graphs = new KeptGraphs(device, this.s.fault, ['text']);
    this.places = new Places(device, model, this.context.window);
    this.kv = new KvPool(device, kvShape(plan), this.context.kv, kvWindow(this.context, sizes.chunkTokens));
    // Every text lies in the same blocks, one behind the other.
    this.kv.writeTable(
      0,
      Uint32Array.from({ length: this.kv.geometry.tableBlocks }, (_, block) => block),
    );
  }

  /** Compiles what a text of a usual length needs. */
  async warmUp(): Promise<void> {
    const nTokens = Math.min(USUAL_TOKENS, this.s.sizes.chunkTokens);
    await this.program(nTokens, nTokens);
  }

  /** @throws {ContextError} `context/full`: the text is longer than the model sees. */
  checkLength(nTokens: number, what = 'A text'): void {
    const { window } = this.context;
    if (nTokens <= window) return;
    throw new ContextError('context/full', `${what} has ${nTokens} tokens; the model sees ${window} at once.`, {
      remedy: 'Cut the text into passages and make a vector of each.',
      details: { neededTokens: nTokens, window },
    });
  }

  /**
   * The vector of a text, of length 1: [modelDim]. `onUnit` is called before each piece of work, and throws to stop.
   * @throws {ContextError} `context/full`
   * @throws {NumericError} `numeric/not-finite`
   */
  async embed(ids: readonly number[], onUnit: () => void): Promise<Float32Array> {
    this.checkLength(ids.length);
    const chunks = await this.chunksOf(ids);
    await this.run(chunks, onUnit);
    const dim = this.model.plan.shape.modelDim;
    const readRows = (first: number, nRows: number) => this.readRows(first, nRows);
    return unitVector(await pooled(this.pooling, { nRows: ids.length, dim, stride: this.rowBytes / 4, readRows }));
  }

  /** The model's adapters came, went, or weigh something else: what was recorded is of another model. */
  async adaptersChanged(): Promise<void> {
    await this.s.adapters.fit(this.model.adapters);
    await this.graphs.forget();
  }

  /** Waits for what is still being compiled, and gives everything back. */
  async destroy(): Promise<void> {
    await this.graphs.forget();
    this.readback.destroy();
    this.s.destroy();
    this.kv.destroy();
  }

  private get text(): BufferView {
    return this.s.text!;
  }

  private async run(chunks: readonly Chunk[], onUnit: () => void): Promise<void> {
    const submissions = new Submissions(this.device, onUnit);
    let written: Chunk | null = null;
    const runPart = async (chunk: Chunk, part: Part) => {
      // A chunk's ids and places lie where the last one's did.
      if (written !== chunk) {
        await submissions.flush();
        this.write(chunk);
        written = chunk;
      }
      this.encode(submissions.encoder, chunk, part);
      await submissions.add(chunk.ids.length);
    };
    for (const chunk of chunks) await runPart(chunk, { from: 0, to: chunk.cuts.input, takes: false, leaves: this.s.x });
    const { nLayers } = this.model.plan.shape;
    for (let layer = 0; layer < nLayers; layer++) {
      if (chunks.length > 1) {
        // The keys of all chunks before the first query; then each makes its own again, with the queries that it kept nowhere.
        for (const chunk of chunks) {
          const { keys, queries } = chunk.cuts.layers[layer]!;
          await runPart(chunk, { from: keys, to: queries, takes: true, leaves: null });
        }
      }
      for (const chunk of chunks) {
        const { keys, end } = chunk.cuts.layers[layer]!;
        const leaves = layer === nLayers - 1 ? chunk.cuts.output : this.s.x;
        await runPart(chunk, { from: keys, to: end, takes: true, leaves });
      }
    }
    await submissions.flush();
  }

  private encode(encoder: GPUCommandEncoder, { graph, first, ids }: Chunk, { from, to, takes, leaves }: Part): void {
    const { text, s, rowBytes } = this;
    const [offset, sizeBytes] = [first * rowBytes, ids.length * rowBytes];
    if (takes) encoder.copyBufferToBuffer(text.buffer, offset, s.x.buffer, 0, sizeBytes);
    const pass = encoder.beginComputePass();
    graph.encodePart(pass, from, to);
    pass.end();
    if (leaves) encoder.copyBufferToBuffer(leaves.buffer, 0, text.buffer, offset, sizeBytes);
  }

  private async readRows(first: number, nRows: number): Promise<Float32Array> {
    const { device, readback, text, rowBytes } = this;
    const encoder = device.gpu.createCommandEncoder();
    const pending = readback.copy(encoder, text.buffer, first * rowBytes, nRows * rowBytes);
    device.submit(encoder.finish());
    return new Float32Array(await pending.wait());
  }

  /** Tells the steps submitted from now on which tokens they are of, and where these stand. */
  private write({ first, ids }: Chunk): void {
    const { device, s } = this;
    device.write(s.tokens.buffer, 0, new Uint8Array(Uint32Array.from(ids).buffer));
    this.places.write(
      s,
      ids.map((_, i) => ({ position: first + i, row: 0 })),
    );
  }

  private chunksOf(ids: readonly number[]): Promise<Chunk[]> {
    const { chunkTokens } = this.s.sizes;
    const nChunks = Math.ceil(ids.length / chunkTokens);
    return Promise.all(
      Array.from({ length: nChunks }, async (_, i) => {
        const first = i * chunkTokens;
        const part = ids.slice(first, first + chunkTokens);
        return { ...(await this.program(part.length, ids.length)), first, ids: part };
      }),
    );
  }

  private program(nTokens: number, nText: number): Promise<TextProgram> {
    const { model, kv, s } = this;
    return this.graphs.get(`text ${nTokens} of ${nText} tokens`, (rec) => ({
      cuts: recordText(rec, model, kv, s, nTokens, nText),
    }));
  }
}
