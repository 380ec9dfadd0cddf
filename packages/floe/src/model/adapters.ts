/** LoRA adapters on the GPU, beside the model whose products they add to. */
import { throwIfAborted } from '../errors/index.ts';
import { type BufferView, type Device, whole } from '../gpu/index.ts';
import type { DenseMatrix, ExpertMatrix, ExpertPool, Matrix } from '../kernels/index.ts';
import { fileRowBytes, formatByName } from '../quant/index.ts';
import type { MatrixPlan, RecordPlan, SourceRange } from '../store/index.ts';
import type { AdapterPlan, PairPlan } from './adapterPlan.ts';
import { mergedName, rowsOfSource } from './adapterTargets.ts';
import { mostBytes } from './placeRecord.ts';
import { rowsFrom } from './rowsFrom.ts';

/** y[yOffset …] += scale · B (A x). */
export interface Delta<M extends Matrix> {
  readonly a: M;
  readonly b: M;
  readonly scale: number;
  /** Where in a row of y, in values. */
  readonly yOffset: number;
}

/** An adapter's matrices for one tensor. */
interface PlacedPair<M extends Matrix> {
  readonly plan: PairPlan;
  readonly a: M;
  readonly b: M;
}

/** An adapter's matrices, as packed as its file has them. They stay while it is there, those of absent experts too. */
export class PlacedAdapter {
  /** What its user weighs it by; at 0 it is not computed. */
  scale = 1;
  readonly dense = new Map<string, PlacedPair<DenseMatrix>>();
  /** Indexed by expert, not by slot: an expert's slot changes. */
  readonly experts = new Map<string, PlacedPair<ExpertMatrix>>();
  embedding: PlacedPair<DenseMatrix> | null = null;
  private readonly views: BufferView[] = [];

  constructor(
    private readonly device: Device,
    readonly plan: AdapterPlan,
  ) {}

  get gpuBytes(): number {
    return this.views.reduce((sum, { buffer }) => sum + buffer.size, 0);
  }

  buffer(label: string, sizeBytes: number): BufferView {
    const view = whole(this.device.buffers.storage('adapters', label, sizeBytes));
    this.views.push(view);
    return view;
  }

  destroy(): void {
    for (const { buffer } of this.views.splice(0)) this.device.buffers.destroy(buffer);
  }
}

/** Reads an adapter's matrices and writes them to the GPU. @throws {GpuError} `gpu/out-of-memory`, `gpu/limits`. */
export async function placeAdapter(
  device: Device,
  plan: AdapterPlan,
  read: (record: RecordPlan, signal?: AbortSignal) => Promise<Uint8Array>,
  signal?: AbortSignal,
): Promise<PlacedAdapter> {
  const adapter = new PlacedAdapter(device, plan);
  try {
    // All buffers before the first read: what others allocate meanwhile is not in this scope.
    const places = await device.checked(async () => plan.pairs.flatMap((pair) => placePair(device, adapter, pair)));
    for (const { record, view, offset } of places) {
      throwIfAborted(signal);
      device.throwIfFailed();
      device.write(view.buffer, offset, await read(record, signal));
    }
  } catch (error) {
    adapter.destroy();
    throw error;
  }
  return adapter;
}

/** Where a record goes. */
interface Place {
  readonly record: RecordPlan;
  readonly view: BufferView;
  readonly offset: number;
}

function placePair(device: Device, adapter: PlacedAdapter, plan: PairPlan): Place[] {
  const [first] = plan.records as [RecordPlan];
  const [a, b] = first.matrices as [MatrixPlan, MatrixPlan];
  if (plan.target.kind === 'experts') {
    const { pools, places } = placeExperts(device, adapter, plan);
    const placed = { pools, slotBytes: first.sizeBytes };
    adapter.experts.set(plan.tensor, { plan, a: { ...a, ...placed }, b: { ...b, ...placed } });
    return places;
  }
  const record = adapter.buffer(plan.tensor, first.sizeBytes);
  const pair = { plan, a: { ...a, record }, b: { ...b, record } };
  if (plan.target.kind === 'embedding') adapter.embedding = pair;
  else adapter.dense.set(plan.tensor, pair);
  return [{ record: first, view: record, offset: 0 }];
}

/** As slots that every expert has, in as few buffers as can be bound. */
function placeExperts(device: Device, adapter: PlacedAdapter, { tensor, records }: PairPlan) {
  const slotBytes = records[0]!.sizeBytes;
  const most = Math.max(1, Math.floor(mostBytes(device) / slotBytes));
  const pools: ExpertPool[] = [];
  const places: Place[] = [];
  for (let firstSlot = 0; firstSlot < records.length; firstSlot += most) {
    const inPool = records.slice(firstSlot, firstSlot + most);
    const view = adapter.buffer(`${tensor} from expert ${firstSlot}`, inPool.length * slotBytes);
    pools.push({ view, firstSlot, nSlots: inPool.length });
    places.push(...inPool.map((record, i) => ({ record, view, offset: i * slotBytes })));
  }
  return { pools, places };
}

/** A matrix that knows which tensors it was made of. */
export type Sourced = Pick<MatrixPlan, 'format' | 'rowElements' | 'sources'>;

/** The adapters of a model, in the order they came. What was recorded before it changed is of another model. */
export class AdapterSet {
  private readonly placed: PlacedAdapter[] = [];

  add(adapter: PlacedAdapter): void {
    this.placed.push(adapter);
  }

  remove(adapter: PlacedAdapter): void {
    const at = this.placed.indexOf(adapter);
    if (at >= 0) this.placed.splice(at, 1);
  }

  /** Those that change anything. */
  get active(): readonly PlacedAdapter[] {
    return this.placed.filter(({ scale }) => scale !== 0);
  }

  /** Whether any adds to products of this matrix. */
  touches(kind: 'dense' | 'experts', w: Sourced): boolean {
    const nameOf = kind === 'dense' ? ({ tensor }: SourceRange) => tensor : mergedName;
    return w.sources.some((source) => this.active.some((adapter) => adapter[kind].has(nameOf(source))));
  }

  /** What is added to x · Wᵀ, part by part. */
  deltas(w: DenseMatrix & Sourced): Delta<DenseMatrix>[] {
    const rowBytes = fileRowBytes(formatByName(w.format), w.rowElements);
    return this.partsOf(w).flatMap(({ source, nRows, yOffset }) =>
      this.active.flatMap(({ dense, scale }) => {
        const pair = dense.get(source.tensor);
        if (!pair) return [];
        const { target, scale: own } = pair.plan;
        const b = rowsFrom(pair.b, (source.offset - target.offset) / rowBytes, nRows);
        return [{ a: pair.a, b, scale: scale * own, yOffset }];
      }),
    );
  }

  /** The same of each expert's product. */
  expertDeltas(w: ExpertMatrix & Sourced): Delta<ExpertMatrix>[] {
    return this.partsOf(w).flatMap(({ source, yOffset }) =>
      this.active.flatMap(({ experts, scale }) => {
        const pair = experts.get(mergedName(source));
        return pair ? [{ a: pair.a, b: pair.b, scale: scale * pair.plan.scale, yOffset }] : [];
      }),
    );
  }

  /** What is added to a token's row of the embedding: B times its row of A. */
  embeddingDeltas(): Delta<DenseMatrix>[] {
    return this.active.flatMap(({ embedding, scale }) =>
      embedding ? [{ a: embedding.a, b: embedding.b, scale: scale * embedding.plan.scale, yOffset: 0 }] : [],
    );
  }

  /** The tensors that a matrix stacks, and where in a row of its product each one's begins. */
  private partsOf(w: Sourced) {
    let yOffset = 0;
    return w.sources.map((source) => {
      const part = { source, nRows: rowsOfSource(w, source), yOffset };
      yOffset += part.nRows;
      return part;
    });
  }
}
