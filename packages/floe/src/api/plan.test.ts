/** A plan says of Arctic itself, from its header alone, what `loadModel` would do and what can be expected of it. */
import { type RandomModelOptions, randomModel } from '@floe/testkit/randomModel';
import { virtualModel } from '@floe/testkit/virtualModel';
import { startVirtualServer, type VirtualServer } from '@floe/testkit/virtualServer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExpertsError, RequestError } from '../errors/index.ts';
import { nodeHost } from '../host/node.ts';
import { type LoadPlan, type PlanOptions, planInThread } from './plan.ts';

const host = nodeHost(null);
const arctic = virtualModel({ nLayers: 35 });
/** Of the same layers, fewer: sooner simulated. */
const slice = virtualModel({ nLayers: 4 });
let servers: [VirtualServer, VirtualServer];
beforeAll(async () => {
  servers = [await startVirtualServer(arctic), await startVirtualServer(slice)];
});
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
});

const planArctic = (options: PlanOptions) => planInThread(host, servers[0].url, options);
const planSlice = (options: PlanOptions) => planInThread(host, servers[1].url, options);

const shape = { nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, ffDim: 96, expertDim: 96, nVocab: 320 };
function fileOf(own: Pick<RandomModelOptions, 'architecture' | 'nExperts'> & Partial<RandomModelOptions>): Blob {
  return new Blob([randomModel({ ...shape, seed: 1, type: 'Q8_0', ...own }) as Uint8Array<ArrayBuffer>]);
}

describe('a plan of Arctic', () => {
  it('reads its header only, and accounts for every byte of the GPU and every expert', async () => {
    const [server] = servers;
    server.clearLog();
    const plan = await planArctic({ budget: { gpuBytes: 24e9, memoryBytes: 32e9 } });
    expect(server.sentBytes()).toBeLessThan(2 * Math.max(2 ** 20, arctic.header.length));
    const { gpu, memory, storage, network, expertBytes } = plan;
    expect(plan).toMatchObject({
      architecture: 'arctic',
      quantization: 'Q4_0',
      nLayers: 35,
      fileBytes: arctic.sizeBytes,
    });
    // A record is the file's bytes, each matrix at a multiple of 256.
    expect(expertBytes / arctic.expertBytes).toBeCloseTo(1, 4);
    const { bytes, nSlots, ...parts } = gpu;
    expect(Object.values(parts).reduce((a, b) => a + b)).toBe(bytes);
    expect(gpu.slotBytes).toBe(nSlots * expertBytes);
    expect(bytes).toBeLessThanOrEqual(24e9);
    expect(bytes).toBeGreaterThan(24e9 - expertBytes);
    expect(memory).toEqual({
      nExperts: Math.floor(32e9 / expertBytes),
      bytes: Math.floor(32e9 / expertBytes) * expertBytes,
    });
    expect([storage.nExperts, network.nExperts]).toEqual([35 * 128, 0]);
    expect(plan.notices.map(({ kind }) => kind)).toEqual(['paged']);
  });

  it('expects more hits and tokens of routing that repeats itself, and less than with all resident', async () => {
    const { speeds, residentTokensPerSecond } = await planArctic({ budget: { gpuBytes: 72e9, memoryBytes: 0 } });
    expect(speeds.map(({ routing }) => routing)).toEqual(['flat', 'mid', 'hot']);
    const [flat, mid, hot] = speeds as [LoadPlan['speeds'][0], LoadPlan['speeds'][0], LoadPlan['speeds'][0]];
    expect(flat.hitRate).toBeLessThan(mid.hitRate);
    expect(mid.hitRate).toBeLessThan(hot.hitRate);
    expect(flat.tokensPerSecond).toBeLessThan(mid.tokensPerSecond);
    expect(hot.tokensPerSecond).toBeLessThan(residentTokensPerSecond);
    // A quarter of the experts has slots: docs/routing.md has 52, 79 and 92% for it, of more tokens.
    for (const [i, percent] of [52, 79, 92].entries())
      expect(Math.abs(100 * speeds[i]!.hitRate - percent)).toBeLessThan(4);
  });

  it('takes as long as the bytes of its misses do, and the GPU', async () => {
    const rates = { gpu: 1e12, upload: 1e12, storage: 1e9, network: 1e6 };
    const { speeds, expertBytes, residentTokensPerSecond } = await planSlice({
      budget: { gpuBytes: '25%', memoryBytes: 0 },
      rates,
    });
    for (const { loadsPerToken, msPerToken, bytesPerToken, hitRate } of speeds) {
      expect(loadsPerToken).toMatchObject({ memory: 0, network: 0 });
      expect(loadsPerToken.storage).toBeCloseTo((1 - hitRate) * 4 * 2, 6);
      expect(bytesPerToken).toBeCloseTo(loadsPerToken.storage * expertBytes, -3);
      // Beyond what all resident takes, nearly all of it is the disk's gigabyte a second.
      const stallMs = msPerToken - 1000 / residentTokensPerSecond;
      expect(Math.abs(stallMs / ((bytesPerToken / 1e9) * 1000) - 1)).toBeLessThan(0.05);
    }
  });

  it('counts on memory where it holds more than the slots, on the network for what is not stored', async () => {
    const gpuBytes = '12.5%';
    const little = await planSlice({ budget: { gpuBytes, memoryBytes: 3e9 } });
    expect(little.speeds[1]!.loadsPerToken.memory).toBe(0);
    const much = await planSlice({ budget: { gpuBytes, memoryBytes: 18e9 } });
    expect(much.speeds[1]!.hitRate).toBe(little.speeds[1]!.hitRate);
    expect(much.speeds[1]!.loadsPerToken.memory).toBeGreaterThan(2 * much.speeds[1]!.loadsPerToken.storage);
    const half = await planSlice({ budget: { gpuBytes, memoryBytes: 0, storageBytes: slice.sizeBytes / 2 } });
    expect(half.storage.nExperts + half.network.nExperts).toBe(4 * 128);
    expect(half.network.nExperts / (4 * 128)).toBeCloseTo(0.51, 2);
    const { storage, network } = half.speeds[1]!.loadsPerToken;
    expect(network / (storage + network)).toBeCloseTo(half.network.nExperts / (4 * 128), 6);
    expect(half.speeds[1]!.tokensPerSecond).toBeLessThan(little.speeds[1]!.tokensPerSecond / 10);
  });

  it('names the least budget: with it three slots, with an expert less a typed error that names it too', async () => {
    const { minimumGpuBytes, expertBytes } = await planSlice({ budget: { gpuBytes: '50%', memoryBytes: 0 } });
    const least = await planSlice({ budget: { gpuBytes: minimumGpuBytes, memoryBytes: 0 } });
    expect(least.gpu).toMatchObject({ nSlots: 3, bytes: minimumGpuBytes });
    expect(least.notices.map(({ kind }) => kind)).toEqual(['paged', 'few-slots']);
    const refused = await planSlice({ budget: { gpuBytes: minimumGpuBytes - expertBytes } }).catch((error) => error);
    expect(refused).toBeInstanceOf(ExpertsError);
    expect(refused).toMatchObject({ code: 'experts/budget-too-small', details: { leastBytes: minimumGpuBytes } });
  });

  it.each([
    ['a rate of nothing', { rates: { storage: 0 } }],
    ['a budget that is none', { budget: { gpuBytes: '200%' } }],
    ['a memory that is no number', { budget: { memoryBytes: Number.NaN } }],
    ['a storage below nothing', { budget: { storageBytes: -1 } }],
    ['a context beyond the trained one', { contextLength: 4097 }],
  ] as const)('refuses %s', async (_, options) => {
    await expect(planSlice(options)).rejects.toThrow(RequestError);
  });
});

describe('a plan of a model whose first layers have no experts', () => {
  const file = () => fileOf({ architecture: 'deepseek2', nExperts: 8, nExpertsUsed: 2, nLayers: 3 });
  it('counts the experts there are', async () => {
    const { nLayers, nRoutedLayers, storage } = await planInThread(host, file());
    expect({ nLayers, nRoutedLayers, nStored: storage.nExperts }).toEqual({
      nLayers: 3,
      nRoutedLayers: 2,
      nStored: 2 * 8,
    });
  });
  it('reads no experts in those', async () => {
    // So slow that nothing but bytes counts: all but the embedding, of which a row is read, and the experts used.
    const rates = { gpu: 1000 };
    const { residentTokensPerSecond, gpu, storage } = await planInThread(host, file(), { rates });
    const embeddingBytes = 320 * 64 * (34 / 32);
    const readBytes = gpu.denseBytes - embeddingBytes + (storage.bytes * 2) / 8;
    expect(1000 / residentTokensPerSecond / readBytes).toBeCloseTo(1, 2);
  });
});

describe('a plan of a model that fits', () => {
  it('expects what it expects of all resident', async () => {
    const file = fileOf({ architecture: 'arctic', nExperts: 8, nExpertsUsed: 2 });
    const plan = await planInThread(host, file, { budget: { gpuBytes: '100%' } });
    expect(plan.notices).toEqual([]);
    for (const { hitRate, tokensPerSecond } of plan.speeds) {
      expect(hitRate).toBe(1);
      expect(tokensPerSecond).toBeCloseTo(plan.residentTokensPerSecond, 6);
    }
  });
  it('has no speeds to tell apart where there are no experts', async () => {
    const file = fileOf({ architecture: 'llama', nExperts: 0 });
    const { speeds, gpu, storage } = await planInThread(host, file);
    expect({ speeds, nSlots: gpu.nSlots, storage }).toEqual({
      speeds: [],
      nSlots: 0,
      storage: { nExperts: 0, bytes: 0 },
    });
  });
});
