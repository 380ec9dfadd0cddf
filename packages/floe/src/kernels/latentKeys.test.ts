import { encode } from '@floe/testkit/encode';
import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { expect, it } from 'vitest';
import { whole } from '../gpu/index.ts';
import { formatByName, rowStride } from '../quant/index.ts';
import { latentKeys } from './latentKeys.ts';
import { paddedRows, runThrice, testDevice, unpadded, upload, uploadMatrix } from './testGraph.ts';

/** A sum of 64 products in f32: 1e-6 at the worst, 1e-12 squared. */
const NMSE = 1e-10;
const random = seeded('latentKeys');

// 20: less than a group. 96: three. 5 heads of 3 groups: no multiple of a workgroup's 16.
it.each([
  { format: 'F32', plainDim: 20, nHeads: 3, rank: 45 },
  { format: 'F32', plainDim: 96, nHeads: 5, rank: 64 },
  { format: 'Q8_0', plainDim: 96, nHeads: 5, rank: 64 },
] as const)('multiplies by each head’s rows laid across: $format plainDim=$plainDim', async (of) => {
  const { format, plainDim, nHeads, rank } = of;
  const T = 3;
  const device = await testDevice();
  const bytes = encode(format, random.normals(nHeads * rank * plainDim));
  const w = formatByName(format).dequantize(bytes, nHeads * rank * plainDim);
  const latent = random.normals(T * rank);
  const y = whole(device.buffers.storage('other', 'y', T * rowStride(nHeads * plainDim) * 4));
  const args = { latent: upload(device, paddedRows(latent, rank)), y, nTokens: T, nHeads, stage: 0 };
  const matrix = uploadMatrix(device, format, bytes, nHeads * rank, plainDim);
  const expected = Float64Array.from({ length: T * nHeads * plainDim }, (_, at) => {
    const [t, head, i] = [Math.floor(at / plainDim / nHeads), Math.floor(at / plainDim) % nHeads, at % plainDim];
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += latent[t * rank + r]! * w[(head * rank + r) * plainDim + i]!;
    return sum;
  });
  const nValues = T * rowStride(nHeads * plainDim);
  for (const run of await runThrice(device, (rec) => latentKeys(rec, { ...args, w: matrix }), y, nValues)) {
    expect(nmse(unpadded(run, nHeads * plainDim), expected)).toBeLessThan(NMSE);
  }
});
