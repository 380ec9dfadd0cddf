/** What would lie where, and how fast it would be: known from a file's header, before a weight is downloaded. */
import { readGguf } from '../gguf/index.ts';
import type { Host } from '../host/index.ts';
import type { KvFormatName } from '../kernels/index.ts';
import { dominantFormat, type ModelPlan, planModel } from '../model/index.ts';
import { type ByteSource, type ModelSource, openSource } from '../store/index.ts';
import { type DividedMemory, divideMemory } from './budget.ts';
import { invalid } from './check.ts';
import { contextOf } from './context.ts';
import { embeddingsOf } from './embeddings.ts';
import { fetchOptions } from './fetchOptions.ts';
import { checkLoadOptions } from './options.ts';
import { baseMs, type ExpectedSpeed, expectSpeed, type PlanRates, ROUTINGS } from './speed.ts';
import type { Budget, ContextOptions, FetchOptions, LoadNotice, ModelInfo } from './types.ts';

export interface PlanOptions extends FetchOptions {
  /** As `loadModel` takes it; what is left out is chosen by what this device has. */
  readonly budget?: Budget;
  /** As `loadModel` takes them. */
  readonly context?: ContextOptions;
  readonly contextLength?: number;
  /**
   * Bytes a second; default: 100 GB for the GPU's memory, as integrated ones have, 4 GB on the way there, 0.4 GB from a
   * browser's database (0.6 GB from a file that is read in place), 12.5 MB from the network.
   */
  readonly rates?: Partial<PlanRates>;
  readonly signal?: AbortSignal;
}

/** A place that experts come from, with the bytes they take there. An expert may be in several. */
export interface PlannedPlace {
  readonly nExperts: number;
  readonly bytes: number;
}

/** What `loadModel` would do with the same budget, and what to expect of it. */
export interface LoadPlan {
  readonly name: string;
  readonly architecture: string;
  readonly quantization: string;
  readonly fileBytes: number;
  readonly nLayers: number;
  /** Layers with experts. */
  readonly nRoutedLayers: number;
  /** In a layer, and used there by a token. */
  readonly nExperts: number;
  readonly nExpertsUsed: number;
  /** Of the largest expert, as it lies in a slot. */
  readonly expertBytes: number;
  /** The window, and how its keys and values are kept. */
  readonly contextLength: number;
  readonly kv: KvFormatName;
  /** Whole windows that `gpu.kvBytes` has room for. */
  readonly conversations: number;
  /** Every buffer: what must be there, and what experts get. */
  readonly gpu: {
    readonly bytes: number;
    readonly denseBytes: number;
    readonly kvBytes: number;
    readonly activationBytes: number;
    readonly otherBytes: number;
    readonly slotBytes: number;
    readonly nSlots: number;
  };
  /** The least `budget.gpuBytes` that works with this context. */
  readonly minimumGpuBytes: number;
  /** Experts in this thread's memory; those of the slots may be among them. */
  readonly memory: PlannedPlace;
  /** Experts in the origin's storage, or in the file that is read in place. */
  readonly storage: PlannedPlace;
  /** Experts that are fetched each time they are wanted. */
  readonly network: PlannedPlace;
  /** As `ModelInfo.notices` would have them. */
  readonly notices: readonly LoadNotice[];
  /** Of a model that makes vectors of texts: as `ModelInfo` has it. */
  readonly embeddings: ModelInfo['embeddings'];
  /** What the speeds are reckoned with. */
  readonly rates: PlanRates;
  /** Of decoding with every expert on the GPU; a model that makes vectors does not decode. */
  readonly residentTokensPerSecond: number;
  /** For routing that repeats itself little, as may be expected, and much; none where there are no experts. */
  readonly speeds: readonly ExpectedSpeed[];
}

const RATES: PlanRates = { gpu: 100e9, upload: 4e9, storage: 0.4e9, network: 12.5e6 };
/** Of a file that is read in place: its blocks are put in the GPU's order at each read, by one core. Few disks are slower. */
const FILE_RATE = 0.6e9;

/**
 * Plans a load on this host. Reads the file's header only, then simulates 600 tokens of each of three routings: a second
 * or two for a model of Arctic's size, and the thread is free between them.
 *
 * @throws {ExpertsError} `experts/budget-too-small`, {ModelError} `model/budget-too-small`: `details.leastBytes` is the
 * least that works.
 * @throws {RequestError} `request/invalid`: a budget, context or rate that can't be.
 * @throws {FloeError} what reading a header throws: `gguf/*`, `model/*`, `net/*`.
 */
export async function planInThread(host: Host, source: ModelSource, options: PlanOptions = {}): Promise<LoadPlan> {
  const { signal, budget = {} } = options;
  checkLoadOptions({ budget });
  const bytes = await openSource(host, source, { ...fetchOptions(options), ...(signal ? { signal } : {}) });
  try {
    const gguf = await readGguf(bytes, { clock: host.clock, ...(signal ? { signal } : {}) });
    const plan = planModel(gguf);
    const memory = divideMemory(host, plan, contextOf(host, plan, options), budget);
    const rates = ratesOf(bytes, options);
    const places = placesOf(bytes, plan, memory, budget);
    return {
      name: gguf.metadata.optionalString('general.name') ?? bytes.name,
      architecture: gguf.architecture,
      quantization: dominantFormat(plan),
      fileBytes: bytes.sizeBytes,
      ...laidOut(plan, memory),
      ...places,
      rates,
      residentTokensPerSecond: 1000 / baseMs(plan, rates),
      speeds: await speedsOf(host, plan, memory, places, rates, signal),
    };
  } finally {
    await bytes.close();
  }
}

function laidOut(plan: ModelPlan, memory: DividedMemory) {
  const { nLayers, nRoutedLayers, nExperts, nExpertsUsed } = plan.shape;
  const { context, denseBytes, kvBytes, activationBytes, otherBytes, slotBytes, slots, nSlots, gpuBytes } = memory;
  return {
    nLayers,
    nRoutedLayers,
    nExperts,
    nExpertsUsed,
    expertBytes: Math.max(0, ...slots.map((slotClass) => slotClass.slotBytes)),
    contextLength: context.window,
    kv: context.kv,
    conversations: context.nWindows ?? 1,
    gpu: { bytes: gpuBytes, denseBytes, kvBytes, activationBytes, otherBytes, slotBytes, nSlots },
    minimumGpuBytes: memory.leastGpuBytes,
    notices: memory.notices,
    embeddings: embeddingsOf(plan),
  };
}

interface Places {
  readonly memory: PlannedPlace;
  readonly storage: PlannedPlace;
  readonly network: PlannedPlace;
}

/** Memory takes what it has room for; storage, behind what is no expert, what comes first; the rest is never kept. */
function placesOf(bytes: ByteSource, plan: ModelPlan, memory: DividedMemory, budget: Budget): Places {
  const nAll = plan.layers.reduce((sum, { experts }) => sum + (experts?.records.length ?? 0), 0);
  const meanBytes = nAll === 0 ? 0 : memory.expertBytes / nAll;
  const place = (nExperts: number): PlannedPlace => ({ nExperts, bytes: Math.round(nExperts * meanBytes) });
  const within = (roomBytes: number): number =>
    nAll === 0 ? 0 : Math.min(nAll, Math.max(0, Math.floor(roomBytes / meanBytes)));
  const { storageBytes } = budget;
  const isAllKept = bytes.local || storageBytes === undefined;
  const nStored = isAllKept ? nAll : within(storageBytes - (bytes.sizeBytes - memory.expertBytes));
  return { memory: place(within(memory.memoryBytes)), storage: place(nStored), network: place(nAll - nStored) };
}

/** @throws {RequestError} `request/invalid`: a rate that is no positive number. */
function ratesOf({ local }: ByteSource, { rates = {} }: PlanOptions): PlanRates {
  for (const [name, rate] of Object.entries(rates)) {
    if (!(rate > 0 && rate < Number.POSITIVE_INFINITY)) {
      throw invalid(`rates.${name}`, String(rate), 'a number of bytes a second above 0');
    }
  }
  return { ...RATES, ...(local ? { storage: FILE_RATE } : {}), ...rates };
}

async function speedsOf(
  { clock }: Host,
  plan: ModelPlan,
  memory: DividedMemory,
  places: Places,
  rates: PlanRates,
  signal: AbortSignal | undefined,
): Promise<ExpectedSpeed[]> {
  if (plan.shape.nExperts === 0) return [];
  const held = { nSlots: memory.nSlots, nMemory: places.memory.nExperts, nStorage: places.storage.nExperts };
  const speeds: ExpectedSpeed[] = [];
  for (const routing of ROUTINGS) {
    // A page may draw, and abort, in between.
    await clock.sleep(0, signal);
    speeds.push(expectSpeed(plan, held, rates, routing));
  }
  return speeds;
}
