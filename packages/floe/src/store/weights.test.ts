/** Records read where nothing is stored: whole, right, and not held longer than they are needed. */
import { describe, expect, it } from 'vitest';
import { nodeHost } from '../host/node.ts';
import type { RecordPlan } from './record.ts';
import type { ByteSource } from './source.ts';
import { memoryWeights } from './weights.ts';

const LARGE_BYTES = 2 << 20;

/** A vector of F32 at `offset`, as a record: packing changes nothing of it. */
function vector(key: string, offset: number, sizeBytes: number): RecordPlan {
  const sources = [{ tensor: key, offset, sizeBytes }];
  const matrix = { format: 'F32', nRows: 1, rowElements: sizeBytes / 4, sources, mainOffset: 0, sideOffset: sizeBytes };
  return { key, sizeBytes, matrices: [matrix] } as RecordPlan;
}

const plans = [vector('small', 0, 1_024), vector('large', 1_024, LARGE_BYTES)];
const file = new Uint8Array(1_024 + LARGE_BYTES).map((_, i) => (i % 251) & 0x3f);

function source(ranges: boolean): { source: ByteSource; nReads: () => number; nStreams: () => number } {
  let nReads = 0;
  let nStreams = 0;
  const read = async (offset: number, length: number) => {
    nReads++;
    return file.slice(offset, offset + length);
  };
  const stream = async function* () {
    nStreams++;
    for (let at = 0; at < file.length; at += 1 << 16) yield file.slice(at, at + (1 << 16));
  };
  const base = {
    name: 'x',
    sizeBytes: file.length,
    version: null,
    local: false,
    fetchedBytes: 0,
    close: async () => undefined,
  };
  return { source: { ...base, ranges, read, stream }, nReads: () => nReads, nStreams: () => nStreams };
}

const right = (plan: RecordPlan) => {
  const { offset, sizeBytes } = plan.matrices[0]!.sources[0]!;
  return Buffer.from(file.subarray(offset, offset + sizeBytes));
};

describe('memoryWeights', () => {
  it('by ranges fetches a record when it is read, and holds none', async () => {
    const counted = source(true);
    const weights = await memoryWeights(counted.source, plans, { notices: [], clock: nodeHost(null).clock });
    expect(counted.nReads()).toBe(0);
    for (const plan of plans) expect(right(plan).equals(await weights.read(plan))).toBe(true);
    const once = counted.nReads();
    for (const plan of plans) await weights.read(plan);
    expect(counted.nReads()).toBe(2 * once);
  });

  it('from a stream lets a large record go as it is read; small ones can be read again without a pass', async () => {
    const counted = source(false);
    const weights = await memoryWeights(counted.source, plans, { notices: [], clock: nodeHost(null).clock });
    for (const plan of plans) expect(right(plan).equals(await weights.read(plan))).toBe(true);
    expect(right(plans[0]!).equals(await weights.read(plans[0]!))).toBe(true);
    expect(counted.nStreams()).toBe(1);
    expect(right(plans[1]!).equals(await weights.read(plans[1]!))).toBe(true);
    expect(counted.nStreams()).toBe(2);
  });
});
