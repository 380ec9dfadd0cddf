/** What is written is read again, to the byte; what can't be is refused by name. */
import { readFileSync } from 'node:fs';
import { testData } from '@floe/testkit/data';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { DECODE, emptyTrace, NOT_ROUTED, PROMPT, readTrace, type Trace, type TraceShape, writeTrace } from './trace.ts';
import { readTraceCsv } from './traceCsv.ts';

const shape: TraceShape = { model: 'two', nLayers: 2, nExperts: 9, nExpertsUsed: 2, slotBytes: [100, 200] };

/** Two tokens: of the first, the last layer was not computed. */
function twoTokens(): Trace {
  const trace = emptyTrace(shape, 2);
  trace.ids.set([8, 0, NOT_ROUTED, NOT_ROUTED, 1, 2, 3, 4]);
  trace.weights.set([0.75, 0.25, 0, 0, 0.5, 0.5, 1, 0]);
  trace.phases.set([PROMPT, DECODE]);
  return trace;
}

const refused = (message: string) =>
  expect.objectContaining({ code: 'request/invalid', message: expect.stringContaining(message) });

describe('readTrace', () => {
  it('reads what writeTrace wrote', () => expect(readTrace(writeTrace(twoTokens()))).toEqual(twoTokens()));

  it('lies in the file as documented', () => {
    const bytes = writeTrace(twoTokens());
    const start = bytes.indexOf(0x0a) + 1;
    expect(JSON.parse(new TextDecoder().decode(bytes.subarray(0, start)))).toEqual(shape);
    // phase; ids 8, 0, none, none; weights 0.75 and 0.25 as halves, 0, 0.
    const first = [0, 8, 0, 0, 0, 255, 255, 255, 255, 0x00, 0x3a, 0x00, 0x34, 0, 0, 0, 0];
    expect([...bytes.subarray(start, start + 17)]).toEqual(first);
    expect(bytes.length).toBe(start + 2 * 17);
  });
  it('takes 281 bytes for a token of Arctic', () => {
    const arctic = { model: 'arctic', nLayers: 35, nExperts: 128, nExpertsUsed: 2, slotBytes: Array(35).fill(1) };
    const size = (nTokens: number) => writeTrace(emptyTrace(arctic, nTokens)).length;
    expect(size(3) - size(2)).toBe(281);
  });
  it('reads a trace of random bytes the size of a model, and one that begins anywhere in a buffer', () => {
    const random = seeded('trace');
    const trace = emptyTrace({ ...shape, nExperts: 300, nExpertsUsed: 1 }, 50);
    trace.ids.set(random.ints(100, 0, 299));
    // Halves: what is written is not rounded.
    trace.weights.set(random.ints(100, 0, 1024));
    const bytes = writeTrace(trace);
    const moved = new Uint8Array(bytes.length + 3);
    moved.set(bytes, 3);
    expect(readTrace(moved.subarray(3))).toEqual(trace);
  });

  it.each([
    ['a byte too few', (bytes: Uint8Array) => bytes.subarray(0, -1), 'not a whole number of tokens of 17'],
    ['a byte too many', (bytes: Uint8Array) => Uint8Array.from([...bytes, 0]), 'not a whole number of tokens of 17'],
    ['nothing in it', () => new Uint8Array(), 'no first line'],
    ['no first line', () => new Uint8Array(10 ** 5).fill(65), 'no first line'],
    ['a first line that is no JSON', () => text('{"model":\n'), 'not JSON'],
    ['a first line that is no text', () => Uint8Array.from([0xff, 0xfe, 0x0a]), 'not JSON'],
    ['null for its shape', () => text('null\n'), 'does not say model'],
    ['no layers', () => text(`${JSON.stringify({ ...shape, nLayers: 0, slotBytes: [] })}\n`), 'does not say model'],
    [
      'more used than there are',
      () => text(`${JSON.stringify({ ...shape, nExpertsUsed: 10 })}\n`),
      'does not say model',
    ],
    [
      'a size for one layer only',
      () => text(`${JSON.stringify({ ...shape, slotBytes: [1] })}\n`),
      'does not say model',
    ],
    ['a phase of its own', edit((trace) => trace.phases.fill(2, 1)), 'Token 1 is of phase 2'],
    ['an expert there is not', edit((trace) => trace.ids.fill(9, 7)), 'Token 1, layer 1: expert 9 of 9'],
    ['an expert twice', edit((trace) => trace.ids.fill(1, 4, 6)), 'Token 1, layer 0: expert 1 twice'],
    ['half a route', edit((trace) => trace.ids.fill(1, 2, 3)), 'Token 0, layer 1: some of its ranks'],
    ['a weight that is none', edit((trace) => trace.weights.fill(Number.NaN, 0, 1)), 'Token 0, layer 0: weight NaN'],
  ])('refuses a file with %s', (_, change, message) => {
    expect(() => readTrace(change(writeTrace(twoTokens())))).toThrowError(refused(message));
  });
  it('control: accepts the file that is not changed, and one without tokens', () => {
    expect(readTrace(edit(() => {})()).nTokens).toBe(2);
    expect(readTrace(text(`${JSON.stringify(shape)}\n`)).nTokens).toBe(0);
  });

  function text(line: string): Uint8Array {
    return new TextEncoder().encode(line);
  }
  function edit(change: (trace: Trace) => void): () => Uint8Array {
    return () => {
      const trace = twoTokens();
      change(trace);
      return writeTrace(trace);
    };
  }
});

describe('readTraceCsv', () => {
  // As the recorder writes: a prompt layer by layer, its last layer for the last token only, then decoded tokens.
  const file = `# route_trace v1
# model=/data/shard/two.gguf arch=x n_layer=2 n_expert=9 n_expert_used=2
# layer=0 expert_bytes=100 dense_bytes=7
# layer=1 expert_bytes=200 dense_bytes=7
turn,phase,step,layer,slot,expert,weight,residency,expert_bytes
0,0,0,0,0,8,0.75,0,100
0,0,0,0,1,0,0.25,0,100
0,1,1,0,0,1,0.5,0,100
0,1,1,0,1,2,0.5,0,100
0,1,1,1,0,3,1,0,200
0,1,1,1,1,4,0,0,200
`;
  it('reads routes, phases, sizes and gaps', () => {
    expect(readTraceCsv(file)).toEqual({ ...twoTokens(), model: 'two.gguf' });
  });
  it.each([
    ['a rank missing', (text: string) => text.replace('0,1,1,1,1,4,0,0,200\n', ''), 'some of its ranks'],
    ['a route twice', (text: string) => `${text}0,1,1,1,1,5,0,0,200\n`, 'twice'],
    ['a layer there is not', (text: string) => `${text}0,1,1,2,1,5,0,0,200\n`, 'outside the model'],
    ['an expert there is not', (text: string) => text.replace('0,8,0.75', '0,9,0.75'), 'expert 9 of 9'],
    ['an id beyond 16 bits', (text: string) => text.replace('0,8,0.75', '0,65544,0.75'), 'Line 6'],
    ['a line cut', (text: string) => text.slice(0, -10), 'Line 11'],
    ['no number', (text: string) => text.replace('0.75', 'x'), 'Line 6'],
    ['no sizes', (text: string) => text.replaceAll('expert_bytes=', 'bytes='), 'expert_bytes'],
    ['no columns', (text: string) => text.replace('slot,', ''), 'Line 5'],
    ['nothing in it', () => '', 'n_layer'],
  ])('refuses a file with %s', (_, change, message) => {
    expect(() => readTraceCsv(change(file))).toThrowError(refused(message));
  });

  it.for([
    { name: 'gptoss.csv', nLayers: 36, nExpertsUsed: 2, nTokens: 149, nPrompt: 85, slotBytes: 13_219_200 },
    { name: 'qwen.csv', nLayers: 48, nExpertsUsed: 6, nTokens: 156, nPrompt: 28, slotBytes: 3_059_712 },
  ])('reads the recorded $name', ({ name, nPrompt, slotBytes, ...expected }, { skip }) => {
    const path = testData(name);
    if (!path) return skip('FLOE_TEST_DATA has no such trace');
    const trace = readTraceCsv(readFileSync(path, 'utf8'));
    expect(trace).toMatchObject({ ...expected, nExperts: 128 });
    expect(trace.phases.indexOf(DECODE)).toBe(nPrompt);
    expect(Math.max(...trace.slotBytes)).toBe(slotBytes);
    // The last layer of a prompt is computed for its last token only.
    const nAbsent = trace.ids.filter((id) => id === NOT_ROUTED).length;
    expect(nAbsent).toBe((nPrompt - 1) * expected.nExpertsUsed);
    expect(readTrace(writeTrace(trace)).ids).toEqual(trace.ids);
  });
});
