/** Packing puts each byte of the file where the GPU reads it, and nothing of it is lost. */
import { describe, expect, it } from 'vitest';
import { formatByName, planeBytes } from '../quant/index.ts';
import { testModel } from './host.testing.ts';
import { packRecord, unpackSource } from './pack.ts';

const { file, plans } = testModel();
const readFile = async (offset: number, length: number) => file.subarray(offset, offset + length);

describe('packRecord', () => {
  it.each(plans.map((plan) => [plan.key, plan] as const))('%s comes back byte for byte', async (_, plan) => {
    const record = await packRecord(plan, readFile);
    expect(record.length).toBe(plan.sizeBytes);
    for (const matrix of plan.matrices) {
      matrix.sources.forEach(({ offset, sizeBytes }, i) => {
        expect(unpackSource(matrix, i, record)).toEqual(file.slice(offset, offset + sizeBytes));
      });
    }
  });

  it('stacks the sources of a matrix in their order', async () => {
    const plan = plans.find(({ key }) => key === 'blk.0.attn_qk')!;
    const [qk] = plan.matrices;
    const record = await packRecord(plan, readFile);
    const format = formatByName('Q8_0');
    const rowPlanes = planeBytes(format, 1, 128);
    const firstOfK = new Uint8Array(rowPlanes.main);
    format.packRow(file.subarray(qk!.sources[1]!.offset).subarray(0, 136), firstOfK, new Uint8Array(rowPlanes.side));
    expect(record.slice(qk!.mainOffset + 64 * rowPlanes.main).slice(0, rowPlanes.main)).toEqual(firstOfK);
  });

  it('pads a float row of 45 to 64 with zeros', async () => {
    const record = await packRecord(plans[0]!, readFile);
    expect(record.slice(45 * 4).every((byte) => byte === 0)).toBe(true);
  });

  it('names the tensor whose scale is not finite', async () => {
    const plan = plans.at(-1)!;
    const damaged = async (offset: number, length: number) => file.slice(offset, offset + length).fill(0x7c);
    await expect(packRecord(plan, damaged)).rejects.toMatchObject({
      code: 'gguf/invalid',
      details: { tensor: 'ffn_gate_exps', offset: plan.matrices[0]!.sources[0]!.offset },
    });
  });

  it('refuses a plan whose rows are not those of its sources', async () => {
    const [matrix] = plans[0]!.matrices;
    const wrong = { ...plans[0]!, matrices: [{ ...matrix!, nRows: 2 }] };
    await expect(packRecord(wrong, readFile)).rejects.toMatchObject({ code: 'internal' });
  });
});
