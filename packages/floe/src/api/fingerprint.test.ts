/** By what a model is known again: which changes of its weights are seen, and when. */
import { describe, expect, it } from 'vitest';
import type { Gguf } from '../gguf/index.ts';
import { nodeHost } from '../host/node.ts';
import type { ModelPlan } from '../model/index.ts';
import type { ModelHashes, RecordPlan } from '../store/index.ts';
import { fingerprint, hashedReads, isSameModel } from './fingerprint.ts';

const host = nodeHost(null);
/** Sizes on both sides of what is read for it. */
const records = [
  { key: 'blk.0.attn_norm', sizeBytes: 256 },
  { key: 'blk.0.ffn', sizeBytes: 2 << 20 },
  { key: 'blk.0.expert.0', sizeBytes: 2 << 20 },
  { key: 'blk.0.expert.1', sizeBytes: 2 << 20 },
  { key: 'output', sizeBytes: 2 << 20 },
].map((record) => ({ ...record, matrices: [] }));

const all = () => true;
const nothing = () => false;
const dense = (key: string) => !key.includes('expert');

/** A model whose record `changed` is another's, of which `stored` has the hashes. */
function model({ changed = '', stored = all }: { changed?: string; stored?: (key: string) => boolean } = {}) {
  const bytesOf = ({ key }: RecordPlan) =>
    Uint8Array.of(
      records.findIndex((one) => one.key === key),
      +(key === changed),
    );
  const read: string[] = [];
  const weights = {
    read: async (record: RecordPlan) => {
      read.push(record.key);
      return bytesOf(record);
    },
    sha256Of: (record: RecordPlan) =>
      stored(record.key) ? Uint8Array.of(...bytesOf(record), ...Array(30).fill(0)) : undefined,
  };
  const gguf = { architecture: 'arctic', tensors: new Map() } as unknown as Gguf;
  const plan = { records } as unknown as ModelPlan;
  return { read, hashes: fingerprint({ host, gguf, plan, weights: weights as never }) };
}

describe('a model', () => {
  it.each(records.map(({ key }) => key))('that is stored is another where %s is', async (changed) => {
    const [one, other] = [await model().hashes(), await model({ changed }).hashes()];
    expect(isSameModel(one, await model().hashes())).toBe(true);
    expect(isSameModel(one, other)).toBe(false);
  });

  it.each([
    { changed: 'blk.0.attn_norm', isSame: false },
    { changed: 'output', isSame: false },
    // What would take long to read is not known of it.
    { changed: 'blk.0.ffn', isSame: true },
    { changed: 'blk.0.expert.1', isSame: true },
  ])('that is read in place, with another $changed: the same is $isSame', async ({ changed, isSame }) => {
    const one = await model({ stored: nothing }).hashes();
    expect(isSameModel(one, await model({ stored: nothing, changed }).hashes())).toBe(isSame);
  });

  it('is the same before its experts have come and after, and read in place', async () => {
    const kinds: ModelHashes[] = [];
    for (const stored of [dense, all, nothing]) kinds.push(await model({ stored }).hashes());
    expect(kinds.map(({ experts }) => experts === null)).toEqual([true, false, true]);
    for (const one of kinds) for (const other of kinds) expect(isSameModel(one, other)).toBe(true);
    expect(isSameModel(kinds[0]!, await model({ changed: 'blk.0.ffn', stored: dense }).hashes())).toBe(false);
  });

  it('is read once, and asked for its experts each time', async () => {
    let areHere = false;
    const { read, hashes } = model({ stored: (key) => areHere || dense(key) });
    const [before] = [await hashes(), await hashes()];
    areHere = true;
    expect(before.experts).toBeNull();
    expect((await hashes()).experts).not.toBeNull();
    expect(read).toEqual(['blk.0.attn_norm', 'output']);
  });
});

describe('reads that are hashed', () => {
  const digest = async (order: readonly number[], flip = -1, besides: unknown = null) => {
    const hashed = hashedReads(host, async ({ key }) => Uint8Array.of(key.length, +(key === records[flip]?.key)));
    for (const i of order) await hashed.read(records[i]!);
    return hashed.digest(besides);
  };

  it('have one hash in any order, and another where a byte is, or what else counts', async () => {
    const hash = await digest([0, 1, 2]);
    expect(await digest([2, 0, 1])).toBe(hash);
    expect(await digest([0, 1, 2], 1)).not.toBe(hash);
    expect(await digest([0, 1])).not.toBe(hash);
    expect(await digest([0, 1, 2], -1, [0.5])).not.toBe(hash);
  });
});
