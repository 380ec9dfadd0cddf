import { cornerBlocks } from '@floe/testkit/cornerBlocks';
import { encode } from '@floe/testkit/encode';
import { nmse } from '@floe/testkit/expectNear';
import { randomBlocks } from '@floe/testkit/randomBlocks';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { type DeviceOptions, whole } from '../gpu/index.ts';
import { type FormatName, formatByName, formats, rowStride } from '../quant/index.ts';
import { embedReference } from './embed.reference.ts';
import { embed } from './embed.ts';
import { paddedRows, runThrice, testDevice, unpadded, upload, uploadMatrix } from './testGraph.ts';

/** One product and one sum in f32: 1e-7 at the worst, 1e-14 squared; 1e-6 is the house's bound. */
const NMSE = 1e-6;
const random = seeded('embed');
/** Of blocks of bits. */
const [ROW, RANDOM_ROWS] = [256, 128];
const SMALLEST_NORMAL = 2 ** -126;
/** The first, the last, one twice, and one behind the vocabulary, which reads the last row and no memory behind it. */
const NVOCAB = 7;
const TOKENS = [3, 0, 6, 3, 100];

describe.each<DeviceOptions>([{}, { limits: 'default' }])('embed, %o', (options) => {
  describe.each(formats.map(({ name }) => name))('%s', (format) => {
    // 32: one group. 96: fewer groups than a workgroup has invocations. 544: one group more.
    const dims = formatByName(format).blockElements > 32 ? [256, 768] : [32, 96, 544];
    it.each(dims.flatMap((dim) => [1, 5].map((T) => ({ T, dim }))))(
      'equals the reference: T=$T modelDim=$dim',
      async ({ T, dim }) => {
        const bytes = encode(format, random.normals(NVOCAB * dim, 0.1));
        const w = formatByName(format).dequantize(bytes, NVOCAB * dim);
        const tokens = TOKENS.slice(-T);
        const expected = embedReference(w, tokens, NVOCAB, dim);
        for (const run of await look(options, format, bytes, tokens, dim)) {
          expect(nmse(unpadded(run, dim), expected)).toBeLessThan(NMSE);
        }
      },
    );
  });

  // f32 rounds a weight in float64 once, whatever a device fuses or reorders (shaders/parts/weights.wgsl).
  it.each(formats)('$name: random blocks and extreme ones are unpacked to the bit', async (format) => {
    const corners = cornerBlocks(format);
    // Rows of 256; more random blocks fill the last.
    const cornerRows = Math.ceil(((corners.length / format.blockBytes) * format.blockElements) / ROW);
    const nRows = cornerRows + RANDOM_ROWS;
    const bytes = randomBlocks(format, nRows * ROW, random);
    bytes.set(corners);
    const expected = format.dequantize(bytes, nRows * ROW);
    const ids = Array.from({ length: nRows }, (_, row) => row);
    const [run] = await look(options, format.name, bytes, ids, ROW, nRows);
    expect(run!.length).toBe(expected.length);
    run!.forEach((found, i) => {
      const weight = Math.fround(expected[i]!);
      // WGSL lets a device take numbers this small for 0. Of a 0 the sign may be either.
      const isTiny = Math.abs(weight) < SMALLEST_NORMAL;
      if (found !== weight && !(isTiny && found === 0)) expect.fail(`weight ${i}: ${found} instead of ${weight}`);
    });
  });

  it('control: the last bit of one weight is found', async () => {
    const format = formatByName('Q6_K');
    const bytes = randomBlocks(format, ROW, random, { exponents: [0, 0] });
    const weights = format.dequantize(bytes, ROW);
    const [run] = await look(options, 'Q6_K', bytes, [0], ROW, 1);
    const at = weights.findIndex((weight) => weight !== 0);
    const bits = new Uint32Array(run!.buffer, run!.byteOffset, ROW);
    bits[at]! ^= 1;
    expect(run![at]).not.toBe(Math.fround(weights[at]!));
  });

  it.each([1, 45])(
    'takes odd lengths of floats, bit for bit: rows are padded with zeros (modelDim=%i)',
    async (dim) => {
      const w = random.normals(NVOCAB * dim);
      const expected = embedReference(w, TOKENS, NVOCAB, dim);
      for (const run of await look(options, 'F32', encode('F32', w), TOKENS, dim)) {
        expect(run).toEqual(paddedRows(expected, dim));
      }
    },
  );
});

it('control: the row of another token is out of bounds', async () => {
  const dim = 96;
  const bytes = encode('Q4_0', random.normals(NVOCAB * dim, 0.1));
  const expected = embedReference(formatByName('Q4_0').dequantize(bytes, NVOCAB * dim), TOKENS, NVOCAB, dim);
  const [run] = await look({}, 'Q4_0', bytes, [3, 0, 6, 2, 100], dim);
  expect(nmse(unpadded(run!, dim), expected)).toBeGreaterThan(NMSE);
});

it('multiplies by its scale', async () => {
  const bytes = encode('Q8_0', random.normals(NVOCAB * 96));
  const [plain] = await look({}, 'Q8_0', bytes, TOKENS, 96);
  const [scaled] = await look({}, 'Q8_0', bytes, TOKENS, 96, NVOCAB, 8);
  expect(scaled).toEqual(plain!.map((value) => 8 * value));
});

async function look(
  options: DeviceOptions,
  format: FormatName,
  bytes: Uint8Array,
  tokens: number[],
  dim: number,
  nVocab = NVOCAB,
  scale = 1,
) {
  const device = await testDevice(options);
  const nValues = tokens.length * rowStride(dim);
  const x = whole(device.buffers.storage('other', 'x', Math.max(256, nValues * 4)));
  const w = uploadMatrix(device, format, bytes, nVocab, dim);
  const ids = upload(device, Uint32Array.from(tokens));
  return runThrice(device, (rec) => embed(rec, { tokens: ids, w, x, nTokens: tokens.length, scale }), x, nValues);
}
