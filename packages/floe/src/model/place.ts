import { GgufError, throwIfAborted } from '../errors/index.ts';
import { ExpertSlots } from '../experts/index.ts';
import { type BufferView, type Device, whole } from '../gpu/index.ts';
import type { DenseMatrix, ExpertMatrix } from '../kernels/index.ts';
import type { RecordPlan } from '../store/index.ts';
import type { LayerPlan, ModelPlan } from './plan.ts';

/** A model whose weights are on the GPU. */
export interface PlacedModel {
  readonly plan: ModelPlan;
  readonly tokenEmbd: DenseMatrix;
  readonly layers: readonly PlacedLayer[];
  readonly outputNorm: BufferView;
  readonly output: DenseMatrix;
  readonly slots: ExpertSlots | null;
  /** [ropeDim / 2] divisors of the frequencies, or null. */
  readonly ropeFreqs: Float32Array | null;
}

export interface PlacedLayer {
  readonly attnNorm: BufferView;
  readonly attnQkv: readonly DenseMatrix[];
  readonly attnOutput: DenseMatrix;
  readonly ffnNorm: BufferView;
  readonly dense: { readonly gateUp: DenseMatrix; readonly down: DenseMatrix } | null;
  readonly experts: {
    readonly norm: BufferView | null;
    readonly gateInp: DenseMatrix;
    readonly gateUp: ExpertMatrix;
    readonly down: ExpertMatrix;
  } | null;
}

/** Where records come from: the store, or a file read in place. */
export interface RecordReader {
  readonly read: (plan: RecordPlan, signal?: AbortSignal) => Promise<Uint8Array>;
}

export interface PlaceOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (loadedBytes: number, totalBytes: number) => void;
  /** Bytes of one pool buffer at the most, for tests. */
  readonly poolBytes?: number | undefined;
  /** Which slot holds the n-th expert; default: the n-th. For tests: the answer may not depend on it. */
  readonly slotOrder?: ((n: number, nSlots: number) => number) | undefined;
}

/** Reads every record and writes it to the GPU: dense ones to a buffer each, experts to their slots. */
export async function placeModel(
  device: Device,
  plan: ModelPlan,
  records: RecordReader,
  options: PlaceOptions = {},
): Promise<PlacedModel> {
  const buffers = new Map<RecordPlan, BufferView>();
  const totalBytes = plan.records.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let loadedBytes = 0;
  const load = async (record: RecordPlan) => {
    throwIfAborted(options.signal);
    device.throwIfFailed();
    const bytes = await records.read(record, options.signal);
    loadedBytes += record.sizeBytes;
    options.onProgress?.(loadedBytes, totalBytes);
    return bytes;
  };
  const slots = makeSlots(device, plan, options.poolBytes);
  const expertRecords = new Set(plan.layers.flatMap((layer) => layer.experts?.records ?? []));
  for (const record of plan.records) {
    if (expertRecords.has(record)) continue;
    const buffer = device.buffers.storage('weights', record.key, record.sizeBytes);
    device.write(buffer, 0, await load(record));
    buffers.set(record, whole(buffer));
  }
  await loadExperts(plan, slots, load, options.slotOrder ?? ((n) => n));
  return assemble(plan, buffers, slots, await ropeFreqsOf(plan, records));
}

function makeSlots(device: Device, plan: ModelPlan, poolBytes: number | undefined): ExpertSlots | null {
  const { nLayers, nExperts } = plan.shape;
  const first = plan.layers.find(({ experts }) => experts)?.experts?.records[0];
  return first
    ? new ExpertSlots(device, { nLayers, nExperts }, slotBytesOf(plan), nLayers * nExperts, poolBytes)
    : null;
}

/** One slot size for all: a layer whose format is larger sets it. */
function slotBytesOf(plan: ModelPlan): number {
  return Math.max(...plan.layers.map(({ experts }) => experts?.records[0]?.sizeBytes ?? 0));
}

async function loadExperts(
  plan: ModelPlan,
  slots: ExpertSlots | null,
  load: (record: RecordPlan) => Promise<Uint8Array>,
  slotOrder: (n: number, nSlots: number) => number,
): Promise<void> {
  if (!slots) return;
  const nSlots = plan.shape.nLayers * plan.shape.nExperts;
  let n = 0;
  for (const [layer, { experts }] of plan.layers.entries()) {
    for (const [expert, record] of (experts?.records ?? []).entries()) {
      slots.load(layer, expert, slotOrder(n++, nSlots), await load(record));
    }
  }
}

function assemble(
  plan: ModelPlan,
  buffers: ReadonlyMap<RecordPlan, BufferView>,
  slots: ExpertSlots | null,
  ropeFreqs: Float32Array | null,
): PlacedModel {
  const matrices = (record: RecordPlan): DenseMatrix[] =>
    record.matrices.map((matrix) => ({ ...matrix, record: buffers.get(record)! }));
  const matrix = (record: RecordPlan) => matrices(record)[0]!;
  const vector = (record: RecordPlan) => {
    requireF32(record);
    return buffers.get(record)!;
  };
  const layerOf = ({ attnNorm, attnQkv, attnOutput, ffnNorm, dense, experts }: LayerPlan): PlacedLayer => ({
    attnNorm: vector(attnNorm),
    attnQkv: matrices(attnQkv),
    attnOutput: matrix(attnOutput),
    ffnNorm: vector(ffnNorm),
    dense: dense && { gateUp: matrix(dense.gateUp), down: matrix(dense.down) },
    experts: experts && {
      norm: experts.norm && vector(experts.norm),
      gateInp: matrix(experts.gateInp),
      ...expertMatrices(experts.records[0]!, slots!),
    },
  });
  return {
    plan,
    tokenEmbd: matrix(plan.tokenEmbd),
    layers: plan.layers.map(layerOf),
    outputNorm: vector(plan.outputNorm),
    output: matrix(plan.output ?? plan.tokenEmbd),
    slots,
    ropeFreqs,
  };
}

function expertMatrices(record: RecordPlan, slots: ExpertSlots): { gateUp: ExpertMatrix; down: ExpertMatrix } {
  const { pools, slotBytes } = slots;
  const [gateUp, down] = record.matrices.map((matrix): ExpertMatrix => ({ ...matrix, pools, slotBytes }));
  return { gateUp: gateUp!, down: down! };
}

async function ropeFreqsOf(plan: ModelPlan, records: RecordReader): Promise<Float32Array | null> {
  if (!plan.ropeFreqs) return null;
  requireF32(plan.ropeFreqs);
  const bytes = await records.read(plan.ropeFreqs);
  return new Float32Array(bytes.slice().buffer, 0, plan.shape.ropeDim / 2);
}

function requireF32(record: RecordPlan): void {
  const { format } = record.matrices[0]!;
  if (format === 'F32') return;
  throw new GgufError(
    'gguf/unsupported-type',
    `${record.key} is ${format}; norms and frequencies are F32 in every GGUF.`,
    {
      remedy: 'Convert the model again with a current converter.',
      details: { tensor: record.key, type: format },
    },
  );
}
