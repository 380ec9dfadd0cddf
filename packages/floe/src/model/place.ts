import { throwIfAborted } from '../errors/index.ts';
import { type CachePolicy, ExpertCache, ExpertSlots, type SlotClass } from '../experts/index.ts';
import type { BufferView, Device } from '../gpu/index.ts';
import type { RecordPlan, Urgency } from '../store/index.ts';
import { AdapterSet } from './adapters.ts';
import { isGated } from './architecture.ts';
import { expertSizes } from './budget.ts';
import { type PlacedLayer, type PlacedMatrix, placeLayer, requireF32, Views } from './placeLayer.ts';
import { mostBytes, placeRecord } from './placeRecord.ts';
import { type ModelPlan, routedLayers } from './plan.ts';
import { hasGateApart, type LayerPlan } from './planLayer.ts';
import { isExpertRecord } from './records.ts';
import type { RopeDivisors } from './rope.ts';
import type { Input, Norm } from './weights.ts';

/** A model whose weights are on the GPU. */
export interface PlacedModel {
  readonly plan: ModelPlan;
  readonly tokenEmbd: PlacedMatrix;
  readonly layers: readonly PlacedLayer[];
  readonly input: Input<PlacedMatrix, BufferView>;
  readonly outputNorm: Norm<BufferView> | null;
  readonly output: PlacedMatrix;
  readonly slots: ExpertSlots | null;
  /** Who sees that experts are there when they are wanted; null where the model has none. */
  readonly experts: ExpertCache | null;
  readonly ropeDivisors: RopeDivisors;
  /** What is added to the products of its matrices; at first nothing. */
  readonly adapters: AdapterSet;
}

/** Where records come from: the store, or a file read in place. */
export interface RecordReader {
  readonly read: (plan: RecordPlan, signal?: AbortSignal, urgency?: Urgency) => Promise<Uint8Array>;
  /** Whether reading it needs no network; by itself all do without. */
  readonly isNear?: (plan: RecordPlan) => boolean;
  /** Which experts the last visit used. */
  readonly lastVisit?: Float32Array | undefined;
}

export interface PlaceOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (loadedBytes: number, totalBytes: number) => void;
  /** Slots for each size of expert; by itself one for every expert. */
  readonly slots?: readonly SlotClass[] | undefined;
  /** The most that experts may take in this thread's memory; by itself nothing. */
  readonly memoryBytes?: number | undefined;
  readonly policy?: CachePolicy | undefined;
  /** Bytes of one pool buffer, and of one of dense weights, at the most, for tests. */
  readonly poolBytes?: number | undefined;
  readonly bufferBytes?: number | undefined;
}

/** Reads the dense records and writes them to the GPU; then fills the slots with experts that are near. */
export async function placeModel(
  device: Device,
  plan: ModelPlan,
  records: RecordReader,
  options: PlaceOptions = {},
): Promise<PlacedModel> {
  const placed = new Map<RecordPlan, readonly PlacedMatrix[]>();
  const gateOverUp = new Set(
    plan.layers.filter((layer) => isGated(layer.description) && !hasGateApart(layer)).map(({ mlp }) => mlp!.up.weight),
  );
  const bufferBytes = options.bufferBytes ?? mostBytes(device);
  const slots = makeSlots(device, plan, options);
  const experts = slots && makeCache(plan, records, slots, options);
  const dense = plan.records.filter((record) => !isExpertRecord(record));
  const slotBytes = (slots?.classes ?? []).reduce((sum, { nSlots, slotBytes }) => sum + nSlots * slotBytes, 0);
  const totalBytes = dense.reduce((sum, { sizeBytes }) => sum + sizeBytes, slotBytes);
  let loadedBytes = 0;
  const loaded = (record: RecordPlan) => {
    loadedBytes += record.sizeBytes;
    options.onProgress?.(loadedBytes, totalBytes);
  };
  for (const record of dense) {
    throwIfAborted(options.signal);
    device.throwIfFailed();
    const bytes = await records.read(record, options.signal);
    placed.set(record, placeRecord(device, record, bytes, { bufferBytes, isGateOverUp: gateOverUp.has(record) }));
    loaded(record);
  }
  await experts?.fill(options.signal, loaded);
  return assemble(plan, placed, slots, experts, await divisorsOf(plan, records));
}

function makeSlots(device: Device, plan: ModelPlan, { slots, poolBytes }: PlaceOptions): ExpertSlots | null {
  const { nRoutedLayers: nLayers, nExperts } = plan.shape;
  if (nLayers === 0) return null;
  const classes = slots ?? expertSizes(plan).map((one) => ({ ...one, nSlots: one.layers.length * nExperts }));
  return new ExpertSlots(device, { nLayers, nExperts }, classes, poolBytes);
}

function makeCache(plan: ModelPlan, records: RecordReader, slots: ExpertSlots, options: PlaceOptions): ExpertCache {
  const { nRoutedLayers: nLayers, nExperts, nExpertsUsed } = plan.shape;
  return new ExpertCache({
    size: { nLayers, nExperts, nExpertsUsed },
    slots,
    records: routedLayers(plan.layers).map(({ experts }) => experts.records),
    source: { read: records.read, isNear: records.isNear ?? (() => true) },
    memoryBytes: options.memoryBytes ?? 0,
    policy: options.policy,
    lastVisit: records.lastVisit,
  });
}

function assemble(
  plan: ModelPlan,
  matrices: ReadonlyMap<RecordPlan, readonly PlacedMatrix[]>,
  slots: ExpertSlots | null,
  experts: ExpertCache | null,
  ropeDivisors: RopeDivisors,
): PlacedModel {
  const views = new Views(matrices);
  const { positions, types, norm } = plan.input;
  const pools = new Map(routedLayers(plan.layers).map((layer, i) => [layer as LayerPlan, slots!.poolsOf(i)]));
  return {
    plan,
    tokenEmbd: views.matrix(plan.tokenEmbd),
    layers: plan.layers.map((layer) => placeLayer(layer, views, pools.get(layer) ?? null)),
    input: {
      positions: positions && views.matrix(positions),
      types: types && views.vector(types),
      norm: norm && views.norm(norm),
    },
    outputNorm: plan.outputNorm && views.norm(plan.outputNorm),
    output: views.matrix(plan.output ?? plan.tokenEmbd),
    slots,
    experts,
    ropeDivisors,
    adapters: new AdapterSet(),
  };
}

async function divisorsOf({ ropeDivisors, shape }: ModelPlan, records: RecordReader): Promise<RopeDivisors> {
  const read = async (record: RecordPlan | null) => {
    if (!record) return null;
    requireF32(record);
    const bytes = await records.read(record);
    return new Float32Array(bytes.slice().buffer, 0, shape.ropeDim / 2);
  };
  const { always, short, long } = ropeDivisors;
  return { always: await read(always), short: await read(short), long: await read(long) };
}
