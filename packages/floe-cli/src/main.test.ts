/** `floe` as a person starts it: the program in a process of its own, on the models of this repository. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { testData } from '@floe/testkit/data';
import { afterAll, describe, expect, it } from 'vitest';

const bin = resolve(import.meta.dirname, '../bin/floe.mjs');
const model = testData('arctic-tiny-sql-q8_0.gguf')!;
const folder = mkdtempSync(join(tmpdir(), 'floe-main-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Result {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function floe(args: readonly string[], input = ''): Promise<Result> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [bin, ...args]);
    const result = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      result.out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      result.err += text;
    });
    child.on('close', (status) => done({ status, ...result }));
    child.stdin.end(input);
  });
}

const [first] = readFileSync(testData('eval.jsonl')!, 'utf8').split('\n');
const { messages, expected } = JSON.parse(first!) as { messages: { content: string }[]; expected: string };
const question = ['-p', messages[1]!.content, '--system', messages[0]!.content];

describe('floe run', () => {
  it('answers as the set expects, greedily with --json and by itself streamed with temperature 0', async () => {
    const asked = await floe(['run', model, ...question, '--json']);
    expect(asked).toMatchObject({ status: 0, err: '' });
    const { text, ids } = JSON.parse(asked.out);
    expect(text.trim()).toBe(expected);
    expect(ids.length).toBeGreaterThan(3);
    const streamed = await floe(['run', model, ...question, '--temperature', '0']);
    expect(streamed).toEqual({ status: 0, out: `${text}\n`, err: '' });
  });
  it('takes the prompt as it is with --raw', async () => {
    const { status, out } = await floe(['run', model, '--raw', '-p', 'SELECT COUNT', '--max-tokens', '3', '--json']);
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ ids: { length: 3 }, finish_reason: 'length' });
  });
});

describe('floe chat', () => {
  it('answers each line of a piped conversation', async () => {
    const args = ['chat', model, '--system', messages[0]!.content, '--temperature', '0'];
    const { status, out, err } = await floe(args, `${messages[1]!.content}\n`);
    expect({ status, out: out.trim(), err }).toEqual({ status: 0, out: expected, err: '' });
  });
});

describe('floe tokenize and logprobs', () => {
  it('give ids, and after them the distribution of the next', async () => {
    const ids = JSON.parse((await floe(['tokenize', model], 'SELECT AVG(points) FROM crops;')).out) as number[];
    expect(ids.length).toBeGreaterThan(5);
    const { out } = await floe(['logprobs', model, '--ids', ids.join(','), '--top', '5']);
    const positions = JSON.parse(out) as { position: number; top: [number, number][] }[];
    expect(positions.map(({ position, top }) => [position, top.length])).toEqual(ids.map((_, i) => [i, 5]));
    for (const { top } of positions) expect(top.map(([, p]) => p)).toEqual(top.map(([, p]) => p).sort((a, b) => b - a));
  });
  it('tokenizes specials only when asked', async () => {
    const [as, text] = await Promise.all([
      floe(['tokenize', model, '--special', '--batch'], '["<|im_end|>"]'),
      floe(['tokenize', model, '--batch'], '["<|im_end|>"]'),
    ]);
    expect(JSON.parse(as.out)[0]).toHaveLength(1);
    expect(JSON.parse(text.out)[0].length).toBeGreaterThan(1);
  });
});

describe('floe inspect', () => {
  it('lists every tensor, its bytes and every key', async () => {
    const { status, out } = await floe(['inspect', model, '--json']);
    expect(status).toBe(0);
    const { architecture, tensors, metadata } = JSON.parse(out);
    expect(architecture).toBe('arctic');
    expect(tensors.map(({ name }: { name: string }) => name)).toContain('blk.0.ffn_gate_exps.weight');
    expect(metadata['arctic.expert_count']).toBe(8);
    expect((await floe(['inspect', model])).out).toContain('architecture arctic');
  });
});

describe('floe perplexity', () => {
  it('of SQL as it was trained on is far below that of the same words turned around', async () => {
    const lines = readFileSync(testData('eval.jsonl')!, 'utf8').split('\n').slice(0, 60);
    const sql = lines.map((line) => JSON.parse(line).expected as string);
    const perplexity = async (name: string, text: string): Promise<{ ppl: number; n: number; window: number }> => {
      const file = join(folder, name);
      writeFileSync(file, text);
      return JSON.parse((await floe(['perplexity', model, file, '--json'])).out);
    };
    const forward = await perplexity('forward.txt', sql.join('\n'));
    const backward = await perplexity('backward.txt', sql.map((s) => s.split(' ').reverse().join(' ')).join('\n'));
    expect(forward.window).toBe(384);
    expect(forward.n % 191).toBe(0);
    expect(forward.ppl).toBeLessThan(backward.ppl / 2);
  });
});

describe('a broken file', () => {
  it('is a typed error with a remedy, for people and for scripts, and exit status 1', async () => {
    const broken = join(folder, 'broken.gguf');
    writeFileSync(broken, readFileSync(model).subarray(0, 100_000));
    const told = await floe(['run', broken, '-p', 'x']);
    expect(told).toMatchObject({ status: 1, out: '' });
    expect(told.err).toMatch(/^error gguf\/truncated: .+\n.+\n$/);
    const { status, out } = await floe(['run', broken, '-p', 'x', '--json']);
    expect(status).toBe(1);
    expect(JSON.parse(out).error).toMatchObject({ code: 'gguf/truncated', remedy: expect.stringMatching(/./) });
  });
});
