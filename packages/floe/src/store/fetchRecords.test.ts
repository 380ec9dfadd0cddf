/** Ranges and a stream give the same records, each once, however the bytes are cut. */
import { describe, expect, it } from 'vitest';
import { sourcesOf } from './fetchPlan.ts';
import { fetchByRanges, fetchFromStream, fetchRecord } from './fetchRecords.ts';
import { testModel } from './host.testing.ts';
import { packRecord } from './pack.ts';
import type { ByteSource } from './source.ts';

const { file, plans } = testModel();

function memorySource(pieceBytes: number): ByteSource & { nOpen: number; mostOpen: number } {
  const source = {
    name: 'memory',
    sizeBytes: file.length,
    version: null,
    local: false,
    ranges: true,
    fetchedBytes: 0,
    nOpen: 0,
    mostOpen: 0,
    read: async (offset: number, length: number, signal?: AbortSignal) => {
      source.mostOpen = Math.max(source.mostOpen, ++source.nOpen);
      await new Promise((resolve) => setTimeout(resolve, 1));
      source.nOpen--;
      signal?.throwIfAborted();
      return file.slice(offset, offset + length);
    },
    stream: async function* () {
      for (let at = 0; at < file.length; at += pieceBytes) yield file.subarray(at, at + pieceBytes);
    },
    close: async () => undefined,
  };
  return source;
}

describe.each([
  ['by ranges of', fetchByRanges, [1_000, 16_384, 8 << 20]],
  ['from a stream in pieces of', fetchFromStream, [97, 4_096, 1 << 20]],
] as const)('%s', (_, fetch, sizes) => {
  it.each(sizes)('%i bytes: each record once, byte for byte', async (size) => {
    const keys: string[] = [];
    for await (const records of fetch(memorySource(size), plans, { rangeBytes: size })) {
      for (const { plan, bytes } of records) {
        keys.push(plan.key);
        const expected = await packRecord(plan, async (offset, length) => file.subarray(offset, offset + length));
        expect(Buffer.compare(bytes, expected), plan.key).toBe(0);
      }
    }
    expect(keys.sort()).toEqual(plans.map(({ key }) => key).sort());
  });
});

describe('fetchByRanges', () => {
  it('has three ranges in flight, never more', async () => {
    const source = memorySource(0);
    for await (const _ of fetchByRanges(source, plans, { rangeBytes: 5_000 }));
    expect(source.mostOpen).toBe(3);
  });

  it.each([
    ['one group and no more where that is as much as may wait', 1, 1],
    ['control: four groups by itself', undefined, 4],
  ])('has begun, when the first is taken, %s', async (_, aheadBytes, nBegun) => {
    const source = memorySource(0);
    const asked: number[] = [];
    const read: ByteSource['read'] = (offset, length) => {
      asked.push(offset);
      return source.read(offset, length);
    };
    const records = fetchByRanges({ ...source, read }, plans, { rangeBytes: 5_000, aheadBytes });
    await records.next();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const nAsked = plans.filter((plan) => sourcesOf(plan).some(({ offset }) => asked.includes(offset))).length;
    expect(nAsked).toBe(nBegun);
    await records.return(undefined);
  });

  it('hands out the records before the one that fails', async () => {
    const sound = memorySource(0);
    const bad = plans[5]!.matrices[0]!.sources[0]!.offset;
    const read: ByteSource['read'] = (offset, length) =>
      offset <= bad && bad < offset + length ? Promise.reject(new Error('cut')) : sound.read(offset, length);
    const keys: string[] = [];
    const all = (async () => {
      // Below the size of a record, so that each is a group by itself.
      for await (const records of fetchByRanges({ ...sound, read }, plans, { rangeBytes: 5_000 })) {
        keys.push(...records.map(({ plan }) => plan.key));
      }
    })();
    await expect(all).rejects.toThrow('cut');
    expect(keys).toEqual(plans.slice(0, 5).map(({ key }) => key));
  });
});

it('fetchRecord gives one record of either kind of source', async () => {
  const plan = plans.at(-1)!;
  const source = memorySource(1_000);
  expect(await fetchRecord({ ...source, ranges: false }, plan, {})).toEqual(await fetchRecord(source, plan, {}));
});
