import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { KvBlocks, KvSequence, type KvWindow, kvGeometry } from './index.ts';

const sliding: KvWindow = { window: 100, nSinks: 4, slides: true, chunkTokens: 16 };

/** What each (block, place) of a pool holds, as steps write it: a conversation's name and a position. */
class Written {
  private readonly cells = new Map<string, string>();
  constructor(private readonly window: KvWindow) {}

  write(name: string, { first, table, copies }: ReturnType<KvSequence['extend']>, nTokens: number): void {
    for (const { from, to } of copies)
      for (let place = 0; place < 32; place++)
        this.cells.set(`${to} ${place}`, this.cells.get(`${from} ${place}`) ?? '');
    for (let i = 0; i < nTokens; i++) this.cells.set(this.cellOf(table, first + i), `${name} ${first + i}`);
  }

  read(table: Uint32Array, position: number): string | undefined {
    return this.cells.get(this.cellOf(table, position));
  }

  private cellOf(table: Uint32Array, position: number): string {
    const { fixedBlocks, tableBlocks } = kvGeometry(this.window);
    const block = Math.floor(position / 32);
    const entry = block < fixedBlocks ? block : fixedBlocks + ((block - fixedBlocks) % (tableBlocks - fixedBlocks));
    return `${table[entry]} ${position % 32}`;
  }
}

function visible(position: number, { window, nSinks }: KvWindow): number[] {
  return Array.from({ length: position + 1 }, (_, key) => key).filter(
    (key) => position < window || key < nSinks || key > position - (window - nSinks),
  );
}

describe('KvBlocks', () => {
  it('hands out each block once until all of its holders have let go', () => {
    const blocks = new KvBlocks(2);
    const [a, b] = [blocks.take(), blocks.take()];
    expect(a).not.toBe(b);
    expect(() => blocks.take()).toThrow(expect.objectContaining({ code: 'context/kv-full' }));
    blocks.share(a);
    blocks.release(a);
    expect([blocks.nFree, blocks.isShared(a)]).toEqual([0, false]);
    blocks.release(a);
    expect(blocks.take()).toBe(a);
    blocks.release(b);
    expect(() => blocks.release(b)).toThrow('held by nobody');
  });
});

describe('KvSequence', () => {
  // Steps of many lengths; a window in the middle of a block, one of a block's length, sinks beyond a block, none.
  it.each([
    sliding,
    { ...sliding, window: 32, chunkTokens: 32 },
    { ...sliding, window: 70, nSinks: 40, chunkTokens: 1 },
    { ...sliding, window: 3, nSinks: 0, chunkTokens: 3 },
  ])('keeps what each token of a step sees, over ten windows: %o', (window) => {
    const blocks = new KvBlocks(kvGeometry(window).tableBlocks);
    const sequence = new KvSequence(blocks, window);
    const written = new Written(window);
    const random = seeded(window.window);
    while (sequence.length < 10 * window.window) {
      const n = random.int(1, window.chunkTokens);
      const step = sequence.extend(n);
      written.write('a', step, n);
      for (let position = step.first; position < step.first + n; position++)
        for (const key of visible(position, window))
          if (written.read(step.table, key) !== `a ${key}`) expect.fail(`${position} sees no ${key}`);
      sequence.settle();
    }
    sequence.release();
    expect(blocks.nFree).toBe(blocks.nBlocks);
  });

  it('gives the same table while nothing of it changes, so that a decoded token writes none', () => {
    const sequence = new KvSequence(new KvBlocks(20), sliding);
    for (let i = 0; i < 400; i++) sequence.extend(1);
    const { table } = sequence.extend(1);
    for (let i = 0; i < 400; i++) expect(sequence.extend(1).table).toBe(table);
  });

  it('shares a prefix and never writes to what another conversation holds', () => {
    const blocks = new KvBlocks(40);
    const written = new Written(sliding);
    const step = (name: string, sequence: KvSequence, n: number) => {
      const made = sequence.extend(n);
      written.write(name, made, n);
      return made;
    };
    const one = new KvSequence(blocks, sliding);
    for (let i = 0; i < 5; i++) step('one', one, 16);
    const before = blocks.nFree;
    const two = one.fork(70);
    expect([two.length, blocks.nFree]).toEqual([70, before]);
    // Both go on for ten windows in turns: each sees its own, and the prefix as long as it is in sight.
    for (let i = 0; i < 60; i++) {
      for (const [name, sequence] of [
        ['one', one],
        ['two', two],
      ] as const) {
        const { table, first, copies } = step(name, sequence, 16);
        if (i === 0) expect(copies).toHaveLength(name === 'one' ? 1 : 0);
        for (const key of visible(first + 15, sliding)) {
          const writer = name === 'two' && key >= 70 ? 'two' : 'one';
          if (written.read(table, key) !== `${writer} ${key}`) expect.fail(`${name} ${first + 15} sees no ${key}`);
        }
        sequence.settle();
      }
    }
    one.release();
    two.release();
    expect(blocks.nFree).toBe(40);
  });

  it('rewinds to where all that is seen is still held, and says where it is not', () => {
    const blocks = new KvBlocks(20);
    const sequence = new KvSequence(blocks, sliding);
    for (let i = 0; i < 20; i++) sequence.extend(16);
    expect([320, 319, 310, 0, 321, -1].map((length) => sequence.canRewind(length))).toEqual([
      ...[true, true, true, true],
      ...[false, false],
    ]);
    expect(sequence.canRewind(150)).toBe(false);
    expect(() => sequence.rewind(150)).toThrow('out of the window');
    sequence.rewind(310);
    expect(sequence.extend(1).first).toBe(310);
    sequence.rewind(0);
    expect(blocks.nFree).toBe(20);
  });

  it('changes nothing where blocks are lacking', () => {
    const blocks = new KvBlocks(3);
    const [one, two] = [new KvSequence(blocks, sliding), new KvSequence(blocks, sliding)];
    for (let i = 0; i < 4; i++) one.extend(16);
    two.extend(16);
    const held = two.heldBlocks();
    two.extend(16);
    expect(() => two.extend(1)).toThrow(expect.objectContaining({ code: 'context/kv-full' }));
    expect([two.length, two.heldBlocks(), blocks.nFree]).toEqual([32, held, 0]);
    one.release();
    expect(two.extend(1).first).toBe(32);
  });

  it('is restored with the blocks it was saved with', () => {
    const saved = new KvSequence(new KvBlocks(20), sliding);
    for (let i = 0; i < 20; i++) saved.extend(16);
    const positions = saved.heldBlocks().map(({ position }) => position);
    expect(positions[0]).toBe(0);
    const made = KvSequence.resume(new KvBlocks(20), sliding, 320, positions);
    expect([made.length, made.canRewind(320)]).toEqual([320, true]);
    expect(made.heldBlocks().map(({ position }) => position)).toEqual(positions);
  });
});
