/** What tests of paging share: small models, and answers to a prompt under any placement and schedule. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { addAdapters, type GivenAdapter } from '@floe/testkit/floeAnswers';
import { type RandomModelOptions, randomModel } from '@floe/testkit/randomModel';
import { seeded } from '@floe/testkit/seeded';
import { ExpertsError, orAborted } from '../errors/index.ts';
import type { CachePolicy, ExpertCounts } from '../experts/index.ts';
import { readGguf } from '../gguf/index.ts';
import { type BufferView, type DeviceOptions, readBuffer } from '../gpu/index.ts';
import { systemClock } from '../host/index.ts';
import { testDevice } from '../kernels/testGraph.ts';
import { type GpuBudget, isExpertRecord, type ModelPlan, placeModel, planMemory, planModel } from '../model/index.ts';
import { packRecord, type RecordPlan } from '../store/index.ts';
import { Engine } from './index.ts';
import type { Schedule } from './schedule.ts';

const root = resolve(import.meta.dirname, '../../../..');
export const GREEDY = { kind: 'greedy' } as const;
export const CONTEXT = 192;

/** How a model is placed and run. */
export interface Setting {
  readonly gpu?: GpuBudget | 'all';
  /** Of all experts, what memory may hold. */
  readonly memoryShare?: number;
  readonly schedule?: Partial<Schedule>;
  readonly policy?: CachePolicy;
  readonly prefetch?: boolean;
  readonly dropBelow?: number;
  readonly poolBytes?: number;
  readonly adapters?: { readonly architecture: string; readonly given: readonly GivenAdapter[] };
  /** Every second expert has not been downloaded when the answer begins. */
  readonly halfAway?: boolean;
  readonly prompt?: readonly number[];
  readonly nDecoded?: number;
}

export interface Outcome {
  readonly ids: number[];
  /** Behind the prompt, and after each decoded token. */
  readonly logits: Uint32Array[];
  readonly counts: ExpertCounts;
  readonly mapped: number;
  /** Buffers that the first layer's experts lie in. */
  readonly nPoolBuffers: number;
}

/** Answers a prompt, with the bits of its logits. */
export async function answer(bytes: Uint8Array, setting: Setting, options: DeviceOptions = {}): Promise<Outcome> {
  const device = await testDevice(options);
  const plan = await planOf(bytes);
  const memory = planMemory(plan, CONTEXT, setting.gpu ?? 'all');
  const away = plan.records.filter(isExpertRecord).filter((_, i) => setting.halfAway && i % 2 === 0);
  const placed = await placeModel(device, plan, storeOf(bytes, away), {
    slots: memory.slots,
    memoryBytes: memory.expertBytes * (setting.memoryShare ?? 0),
    policy: setting.policy,
    poolBytes: setting.poolBytes,
  });
  await placed.experts!.fillMemory(new AbortController().signal);
  const engine = new Engine(device, placed, CONTEXT, systemClock, setting.schedule, setting.prefetch ?? false);
  if (setting.adapters) {
    await addAdapters(device, placed, setting.adapters.architecture, setting.adapters.given);
    await engine.adaptersChanged();
  }
  const conversation = engine.open();
  engine.decoder.dropBelow = setting.dropBelow ?? 0;
  const { prompt = PROMPT, nDecoded = 12 } = setting;
  const logitsOf = async ({ logits }: { logits: BufferView }) =>
    new Uint32Array(await readBuffer(device, logits.buffer, 0, plan.nVocab * 4));
  const mappedBefore = device.counts.mapAsync;
  const { counts, slots } = placed.experts!;
  const ids: number[] = [];
  const logits: Uint32Array[] = [];
  let pending = await conversation.prefill(prompt, GREEDY, 0, () => {});
  for (let i = 0; i <= nDecoded; i++) {
    ids.push(await pending.wait());
    logits.push(await logitsOf(i === 0 ? engine.prompts.s : engine.steps.s));
    if (i < nDecoded) pending = await conversation.decode(GREEDY, 0);
  }
  device.throwIfFailed();
  // Those of the logits are the test's own.
  const mapped = device.counts.mapAsync - mappedBefore - logits.length;
  await engine.destroy();
  return { ids, logits, counts, mapped, nPoolBuffers: slots.poolsOf(0).pools.length };
}

/** A conversation with the fewest slots, and a store that can fail. */
export async function startPaged(bytes: Uint8Array) {
  const device = await testDevice({});
  const plan = await planOf(bytes);
  const store = { fails: false, hangs: false, nFailed: 0 };
  const read = async (record: RecordPlan, signal?: AbortSignal) => {
    if (store.hangs) await orAborted(new Promise(() => {}), signal);
    if (!store.fails) return packRecord(record, async (at, n) => bytes.subarray(at, at + n));
    store.nFailed++;
    throw new ExpertsError('experts/absent', `${record.key} can't be fetched`, { remedy: 'none', retryable: true });
  };
  const placed = await placeModel(device, plan, { read }, { slots: planMemory(plan, CONTEXT, 'min').slots });
  const engine = new Engine(device, placed, CONTEXT, systemClock);
  return { engine, conversation: engine.open(), store };
}

export async function planOf(bytes: Uint8Array): Promise<ModelPlan> {
  return planModel(await readGguf({ sizeBytes: bytes.length, read: async (at, n) => bytes.subarray(at, at + n) }));
}

/** As a store reads: a moment later. Those `away` come when they are first read. */
export function storeOf(bytes: Uint8Array, away: readonly RecordPlan[] = []) {
  const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
  const isAway = new Set(away);
  return {
    isNear: (record: RecordPlan) => !isAway.has(record),
    read: async (record: RecordPlan) => {
      await new Promise((resolve) => setTimeout(resolve, 0));
      isAway.delete(record);
      return packRecord(record, read);
    },
  };
}

const random = seeded('paging');
export const PROMPT = Array.from({ length: 21 }, () => random.int(0, 299));
/** Longer than a chunk, so that a span has several. */
export const LONG_PROMPT = Array.from({ length: 150 }, () => random.int(0, 299));

export const shape = { nLayers: 3, modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320, expertDim: 96 };
export const models: { name: string; bytes: () => Uint8Array }[] = [
  {
    name: 'arctic-mini',
    bytes: () => readFileSync(resolve(root, 'demo/public/models/arctic-mini-sql-q4_0.gguf')),
  },
  {
    name: 'arctic, random',
    bytes: () => randomModel(options({ architecture: 'arctic', nExperts: 16, nExpertsUsed: 2, seed: 31 })),
  },
  {
    name: 'mixtral, random',
    bytes: () => randomModel(options({ architecture: 'llama', nExperts: 8, nExpertsUsed: 2, seed: 32 })),
  },
];

export function options(own: Partial<RandomModelOptions>): RandomModelOptions {
  return { ...shape, type: 'Q8_0', ...own } as RandomModelOptions;
}
