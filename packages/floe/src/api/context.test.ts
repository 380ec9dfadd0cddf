import { randomModel } from '@floe/testkit/randomModel';
import { describe, expect, it } from 'vitest';
import { readGguf } from '../gguf/index.ts';
import { planMemory, planModel } from '../model/index.ts';
import { contextOf } from './context.ts';
import type { LoadOptions } from './types.ts';

const TRAINED = 512;
const small = { nLayers: 2, modelDim: 64, nHeads: 2, nKvHeads: 1, ffDim: 64, nVocab: 320, nCtxTrain: TRAINED } as const;
const bytes = randomModel({ ...small, architecture: 'llama', type: 'F32', seed: 1 });
const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
const plan = planModel(await readGguf({ sizeBytes: bytes.length, read }));
const host = { memoryBytes: 8 * 2 ** 30 };
const of = (options: Pick<LoadOptions, 'context' | 'contextLength' | 'budget'> = {}) => contextOf(host, plan, options);

describe('the window a model gets', () => {
  it('is the trained one, in F32, where memory holds that', () => {
    expect(of()).toEqual({
      window: TRAINED,
      nSinks: 4,
      overflow: 'slide',
      kv: 'F32',
      limitedBy: 'trained',
      nWindows: 4,
    });
  });

  it('is what was asked for, by either name', () => {
    const context = { window: 100, sinks: 0, overflow: 'stop', kv: 'Q8_0' } as const;
    expect(of({ context })).toEqual({
      window: 100,
      nSinks: 0,
      overflow: 'stop',
      kv: 'Q8_0',
      limitedBy: 'asked',
      nWindows: 4,
    });
    expect(of({ contextLength: 100 })).toMatchObject({ window: 100, nSinks: 4, limitedBy: 'asked' });
  });

  it('is kept as exactly as its bytes allow, and shortened where no format is small enough', () => {
    const bytesOf = (kv: 'F32' | 'F16' | 'Q8_0') => planMemory(plan, { ...of(), kv, nWindows: 1 }, 'all').kvBytes;
    const within = (kvBytes: number) => of({ budget: { kvBytes } });
    expect(within(bytesOf('F32'))).toMatchObject({ kv: 'F32', window: TRAINED, limitedBy: 'trained' });
    expect(within(bytesOf('F32') - 1)).toMatchObject({ kv: 'F16', window: TRAINED, limitedBy: 'trained' });
    expect(within(bytesOf('F16') - 1)).toMatchObject({ kv: 'Q8_0', window: TRAINED, limitedBy: 'trained' });
    const shorter = within(bytesOf('Q8_0') - 1);
    expect(shorter).toMatchObject({ kv: 'F16', limitedBy: 'memory' });
    expect(planMemory(plan, shorter, 'all').kvBytes).toBeLessThan(bytesOf('Q8_0'));
    const oneMore = { ...shorter, window: shorter.window + 1 };
    expect(planMemory(plan, oneMore, 'all').kvBytes).toBeGreaterThanOrEqual(bytesOf('Q8_0'));
  });

  it('has room for as many more conversations as it is asked for, or as cost little', () => {
    const wide = planMemory(plan, of(), 'all').kvBytes;
    const one = planMemory(plan, of({ context: { conversations: 1 } }), 'all').kvBytes;
    expect(wide / one).toBeGreaterThan(3.5);
    expect(of({ context: { conversations: 9 } }).nWindows).toBe(9);
    expect(of({ budget: { kvBytes: 2.2 * one } }).nWindows).toBe(2);
    // Those that are asked for are kept as exactly as all of them may be.
    expect(of({ context: { conversations: 2 }, budget: { kvBytes: 1.5 * one } })).toMatchObject({
      kv: 'F16',
      nWindows: 2,
    });
  });

  it.each([
    ['context.conversations', { context: { conversations: 0 } }, { context: { conversations: 32 } }],
    ['context.conversations', { context: { conversations: 33 } }, { context: { conversations: 1 } }],
    ['context.window', { context: { window: 5 } }, { context: { window: 6 } }],
    ['context.window', { context: { window: 41, sinks: 40 } }, { context: { window: 42, sinks: 40 } }],
    ['context.window', { context: { window: TRAINED + 1 } }, { context: { window: TRAINED } }],
    ['contextLength', { contextLength: TRAINED + 1 }, { contextLength: TRAINED }],
    ['context.window', { context: { window: 10.5 } }, { context: { window: 10 } }],
    ['context.sinks', { context: { sinks: -1 } }, { context: { sinks: 0 } }],
    ['context.overflow', { context: { overflow: 'wrap' as 'slide' } }, { context: { overflow: 'error' } }],
    ['context.kv', { context: { kv: 'f16' as 'F16' } }, { context: { kv: 'F16' } }],
    ['budget.kvBytes', { budget: { kvBytes: Number.NaN } }, { budget: { kvBytes: 1e6 } }],
  ] as [string, LoadOptions, LoadOptions][])('refuses %s of %o, accepts its neighbour', (argument, wrong, right) => {
    expect(() => of(wrong)).toThrow(expect.objectContaining({ code: 'request/invalid' }));
    expect(() => of(wrong)).toThrow(argument);
    expect(() => of(right)).not.toThrow();
  });
});
