/** A virtual model is a sound GGUF of Arctic's size whose bytes depend on their offset alone. */
import { describe, expect, it } from 'vitest';
import { readGguf } from '../../floe/src/gguf/index.ts';
import { planModel, routesFromInput } from '../../floe/src/model/index.ts';
import { formatByName } from '../../floe/src/quant/index.ts';
import { referenceModel } from './referenceModel.ts';
import { seeded } from './seeded.ts';
import { type VirtualModel, type VirtualTensor, virtualModel } from './virtualModel.ts';

const arctic = virtualModel({ nLayers: 2 });
/** The same file in small: it can be had whole. */
const small = virtualModel({
  nLayers: 2,
  shape: { modelDim: 256, nHeads: 8, nKvHeads: 2, expertDim: 160, nExperts: 16 },
});

function tensorOf({ tensors }: VirtualModel, name: string): VirtualTensor {
  return tensors.find((tensor) => tensor.name === name)!;
}

/** Rows `first` to `first + n - 1` of a tensor, every expert's behind the one before. */
function rows(model: VirtualModel, name: string, first: number, n: number): Float64Array {
  const { kind, shape, offset } = tensorOf(model, name);
  const format = formatByName(kind.type);
  const rowBytes = (shape.at(-1)! / format.blockElements) * format.blockBytes;
  return format.dequantize(model.bytesAt(offset + first * rowBytes, n * rowBytes), n * shape.at(-1)!);
}

function deviation(weights: Float64Array): number {
  return Math.sqrt(weights.reduce((sum, weight) => sum + weight * weight, 0) / weights.length);
}

describe('the header', () => {
  const read = async (offset: number, length: number) => arctic.bytesAt(offset, length);

  it('is accepted by the strict reader, with merged tensors of 2.3 GiB', async () => {
    const gguf = await readGguf({ sizeBytes: arctic.sizeBytes, read });
    expect([...gguf.tensors.values()].map(({ name, offset, sizeBytes }) => ({ name, offset, sizeBytes }))).toEqual(
      arctic.tensors.map(({ name, offset, sizeBytes }) => ({ name, offset, sizeBytes })),
    );
    const merged = gguf.tensors.get('blk.1.ffn_gate_exps.weight')!;
    expect(merged.shape).toEqual([128, 4864, 7168]);
    expect(merged.sizeBytes).toBe(128 * 19_611_648);
    expect(gguf.dataOffset).toBe(arctic.header.length);
    await expect(readGguf({ sizeBytes: arctic.sizeBytes - 1, read })).rejects.toThrow();
  });

  it('makes a plan of 128 experts of 58.8 MB a layer, in Arctic’s shape', async () => {
    const plan = planModel(await readGguf({ sizeBytes: arctic.sizeBytes, read }));
    expect(plan.shape).toMatchObject({
      nLayers: 2,
      modelDim: 7168,
      nHeads: 56,
      nKvHeads: 8,
      headDim: 128,
      ffDim: 7168,
      expertDim: 4864,
      nExperts: 128,
      nExpertsUsed: 2,
    });
    expect(routesFromInput(plan)).toBe(true);
    expect(arctic.expertBytes).toBe(58_834_944);
    for (const { experts } of plan.layers) {
      expect(experts?.records).toHaveLength(128);
      expect(new Set(experts?.records.map(({ sizeBytes }) => sizeBytes))).toEqual(new Set([58_834_944]));
    }
  });
});

describe('bytesAt', () => {
  // Around: the header's end, a tensor's end, 2^31, 2^32, the file's end.
  const { offset } = tensorOf(arctic, 'blk.0.ffn_norm.weight');
  it.each([0, arctic.header.length, offset, 2 ** 31, 2 ** 32, arctic.sizeBytes - 50_000])(
    'is the same however it is cut, around %i',
    (middle) => {
      const random = seeded(middle);
      const start = Math.max(0, middle - 50_000);
      const all = arctic.bytesAt(start, 100_000);
      for (let round = 0; round < 5; round++) {
        for (let at = 0; at < all.length; ) {
          const length = Math.min(random.pick([1, 2, 17, 4096, 30_000]), all.length - at);
          // Compared as buffers: an element at a time costs seconds.
          expect(Buffer.compare(arctic.bytesAt(start + at, length), all.subarray(at, at + length))).toBe(0);
          at += length;
        }
      }
    },
  );

  it('is of the seed: another one gives other weights, the same one the same', () => {
    const again = virtualModel({ nLayers: 2 }).bytesAt(2 ** 32, 4096);
    expect(again).toEqual(arctic.bytesAt(2 ** 32, 4096));
    expect(virtualModel({ nLayers: 2, seed: 2 }).bytesAt(2 ** 32, 4096)).not.toEqual(again);
  });

  it('gives no expert, no layer and no matrix the bytes of another', () => {
    const starts = arctic.tensors
      .filter(({ shape }) => shape.length === 3)
      .flatMap(({ offset, sizeBytes }) => Array.from({ length: 128 }, (_, e) => offset + (e / 128) * sizeBytes));
    const heads = starts.map((at) => Buffer.from(arctic.bytesAt(at, 64 * 1024)).toString('base64'));
    expect(starts).toHaveLength(2 * 3 * 128);
    expect(new Set(heads).size).toBe(heads.length);
  });

  it.each([
    [-1, 1],
    [arctic.sizeBytes, 1],
    [0, arctic.sizeBytes + 1],
  ])('refuses %i + %i', (from, length) => expect(() => arctic.bytesAt(from, length)).toThrow(/of a file of/));
  it('accepts the last byte', () => expect(arctic.bytesAt(arctic.sizeBytes - 1, 1)).toHaveLength(1));
});

describe('weights', () => {
  // What each should deviate by (randomModel.ts): 1/√7168 = 0.0118, 2/√4864 = 0.0287.
  it.each([
    ['token_embd', 1],
    ['blk.0.attn_q', 0.0177],
    ['blk.0.ffn_gate_exps', 0.0118],
    ['blk.1.ffn_down_exps', 0.0287],
    ['blk.1.ffn_gate_inp', 0.0236],
    ['output', 0.0236],
  ])('of %s are finite, of mean 0 and deviation %f', (stem, expected) => {
    const weights = rows(arctic, `${stem}.weight`, 20, 40);
    expect(weights.every(Number.isFinite)).toBe(true);
    expect(deviation(weights)).toBeCloseTo(expected, expected > 0.5 ? 1 : 3);
    // 280,000 draws: their mean deviates by a 500th of theirs.
    expect(Math.abs(weights.reduce((a, b) => a + b) / weights.length)).toBeLessThan(expected / 50);
  });
  it('of Q4_0 have scales far from a half’s limits', () => {
    const { offset } = tensorOf(arctic, 'blk.1.ffn_up_exps.weight');
    const blocks = new DataView(arctic.bytesAt(offset, 18 * 5000).buffer);
    const exponents = Array.from({ length: 5000 }, (_, i) => (blocks.getUint16(18 * i, true) >> 10) & 31);
    // Neither denormal (0) nor infinite (31): 0.0012 to 0.0037.
    expect(Math.min(...exponents)).toBeGreaterThanOrEqual(5);
    expect(Math.max(...exponents)).toBeLessThanOrEqual(7);
  });
  it('of norms are from 0.4 to 1.5', () => {
    const weights = rows(arctic, 'blk.1.ffn_norm_exps.weight', 0, 1);
    expect(Math.min(...weights)).toBeGreaterThanOrEqual(0.4);
    expect(Math.max(...weights)).toBeLessThanOrEqual(1.5);
    // Not one value: 7,168 of a pool of 65,536, some of them twice.
    expect(new Set(weights).size).toBeGreaterThan(5000);
  });
});

/** The small one, whole, through the float64 forward pass. */
describe('a model made so', () => {
  const reference = referenceModel(small.bytesAt(0, small.sizeBytes));
  const random = seeded('prompts');
  const prompts = [1, 2].map(() => Array.from({ length: 12 }, () => random.int(0, 250)));
  const [one, two] = prompts.map((ids) => reference.forward(ids));

  it('answers with finite logits that spread by about 2 and depend on the prompt', () => {
    for (const logits of [...one!.logits, ...two!.logits]) {
      expect(logits.every(Number.isFinite)).toBe(true);
      expect(deviation(logits)).toBeGreaterThan(1);
      expect(deviation(logits)).toBeLessThan(4);
    }
    const difference = one!.logits.at(-1)!.map((logit, i) => logit - two!.logits.at(-1)![i]!);
    expect(deviation(difference)).toBeGreaterThan(1);
  });
  it('sends tokens to different experts', () => {
    for (const layer of one!.routes) {
      expect(new Set(layer.flatMap(({ experts }) => experts)).size).toBeGreaterThan(6);
    }
  });
});
