/** Models to page: their records packed once and kept, and placed with as many slots as a share of the experts. */
import { readFileSync } from 'node:fs';
import { randomModel } from '@floe/testkit/randomModel';
import { virtualModel } from '@floe/testkit/virtualModel';
import type { CachePolicy, PoolSize, Trace } from '../packages/floe/src/experts/index.ts';
import { type Gguf, readGguf } from '../packages/floe/src/gguf/index.ts';
import type { Device } from '../packages/floe/src/gpu/index.ts';
import {
  type ModelPlan,
  type PlacedModel,
  placeModel,
  planMemory,
  planModel,
  type RecordReader,
} from '../packages/floe/src/model/index.ts';
import { packRecord, type RecordPlan } from '../packages/floe/src/store/index.ts';

/** Positions a conversation may have. */
export const CONTEXT = 512;

/** A model whose records lie packed in this process: the memory tier then takes no copy of its own. */
export interface ModelFile {
  readonly name: string;
  readonly gguf: Gguf;
  readonly plan: ModelPlan;
  readonly records: RecordReader;
  /** Of one expert, packed. */
  readonly expertBytes: number;
}

/** Arctic's block with few, small layers, so that a token takes some 15 ms on an adapter made of software. */
export function arcticShaped(): Promise<ModelFile> {
  const shape = { modelDim: 256, nHeads: 8, nKvHeads: 2, expertDim: 192, nExperts: 128, nExpertsUsed: 2 };
  const model = virtualModel({ nLayers: 12, shape });
  return modelFile('arctic-shaped 12x128', model.sizeBytes, async (offset, length) => model.bytesAt(offset, length));
}

/** Mixtral's: eight experts a layer, and a router behind attention. */
export function mixtralShaped(): Promise<ModelFile> {
  const shape = { nLayers: 6, modelDim: 256, nHeads: 8, nKvHeads: 2, expertDim: 192, nExperts: 8, nExpertsUsed: 2 };
  const bytes = randomModel({ architecture: 'llama', ...shape, nVocab: 512, type: 'Q4_0', seed: 8 });
  return fileOf('mixtral-shaped 6x8', bytes);
}

export function modelAt(name: string, path: string): Promise<ModelFile> {
  return fileOf(name, readFileSync(path));
}

function fileOf(name: string, bytes: Uint8Array): Promise<ModelFile> {
  return modelFile(name, bytes.length, async (offset, length) => bytes.subarray(offset, offset + length));
}

async function modelFile(
  name: string,
  sizeBytes: number,
  read: (offset: number, length: number) => Promise<Uint8Array>,
): Promise<ModelFile> {
  const gguf = await readGguf({ sizeBytes, read });
  const plan = planModel(gguf);
  const packed = new Map<RecordPlan, Promise<Uint8Array>>();
  const records: RecordReader = {
    read: (record) => {
      const known = packed.get(record) ?? packRecord(record, read);
      packed.set(record, known);
      return known;
    },
  };
  return { name, gguf, plan, records, expertBytes: plan.layers[0]!.experts!.records[0]!.sizeBytes };
}

/** Which part of the experts has slots: of all, or the fewest that work. */
export type Share = number | 'min';

export interface PlaceChoice {
  readonly share: Share;
  /** Experts that fit the memory tier, as a part of all. */
  readonly memoryShare?: number;
  /** By itself the library's own. */
  readonly policy?: (size: PoolSize) => CachePolicy;
}

export async function place(device: Device, file: ModelFile, choice: PlaceChoice): Promise<PlacedModel> {
  const { share, memoryShare = 1, policy } = choice;
  const { slots, expertBytes } = planMemory(file.plan, CONTEXT, share === 'min' ? 'min' : `${100 * share}%`);
  const { nLayers, nExperts, nExpertsUsed } = file.plan.shape;
  const nSlots = slots.reduce((sum, { nSlots }) => sum + nSlots, 0);
  const placed = await placeModel(device, file.plan, file.records, {
    slots,
    memoryBytes: memoryShare * expertBytes,
    policy: policy?.({ nLayers, nExperts, nExpertsUsed, nSlots }),
  });
  await placed.experts!.fillMemory(new AbortController().signal);
  return placed;
}

/** Gives the slots and weights back. */
export function unplace(device: Device, { layers, slots, tokenEmbd, output, outputNorm }: PlacedModel): void {
  const buffers = new Set(buffersOf({ layers, tokenEmbd, output, outputNorm }));
  if (slots) buffers.add(slots.pageTable.buffer);
  for (const buffer of buffers) device.buffers.destroy(buffer);
}

function buffersOf(part: object): GPUBuffer[] {
  return Object.values(part).flatMap((value: unknown) => {
    if (typeof value !== 'object' || value === null) return [];
    return value instanceof GPUBuffer ? [value] : buffersOf(value);
  });
}

/** Lets a model's cache live through a trace's tokens from one to before another, without the GPU's own work. */
export async function liveThrough({ experts }: PlacedModel, trace: Trace, from: number, to: number): Promise<void> {
  const { nLayers, nExpertsUsed, ids } = trace;
  const cache = experts!;
  for (let token = from; token < to; token++) {
    for (let layer = 0; layer < nLayers; layer++) {
      const at = (token * nLayers + layer) * nExpertsUsed;
      const keys = Array.from(ids.subarray(at, at + nExpertsUsed), (expert) => cache.keyOf(layer, expert));
      for (const key of keys) cache.routed(layer, key, cache.pager.isNamed(key));
      (await cache.bring(keys))();
    }
    cache.token++;
  }
}
