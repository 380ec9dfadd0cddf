/** The command line, held against a model that is made up: what it asks of Floe, and what it prints. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fakeContext } from './fake.ts';
import { commands, floe } from './floe.ts';
import { progressLine } from './loading.ts';

const folder = mkdtempSync(join(tmpdir(), 'floe-cli-'));
const model = join(folder, 'model.gguf');
writeFileSync(model, 'GGUF');
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs `floe` on the made-up model. */
async function type(args: string[], options: Parameters<typeof fakeContext>[0] = {}) {
  const fake = fakeContext(options);
  const status = await floe(args, fake.context);
  return { status, ...fake };
}

describe('floe', () => {
  it('lists every command, and has a usage text for each that begins with how to call it', async () => {
    const { status, out } = await type([]);
    expect(status).toBe(0);
    for (const { name, usage } of commands) {
      expect(out()).toContain(`  ${name} `);
      expect(usage).toMatch(new RegExp(`^floe ${name} MODEL\\.gguf`));
      expect((await type([name, '--help'])).out()).toBe(usage);
    }
  });
  it.each([
    ['an unknown command', ['sing'], 'error request/invalid: There is no command `sing`.'],
    ['an unknown option', ['run', model, '--loud'], "error request/invalid: Unknown option '--loud'"],
    ['a missing model', ['inspect'], '`floe inspect` needs a MODEL.gguf.'],
    ['a model that is not there', ['inspect', '/no/such.gguf'], 'There is no file /no/such.gguf.'],
    ['one argument too many', ['inspect', model, 'x'], 'has no use for `x`'],
    ['a number that is none', ['run', model, '-p', 'x', '--max-tokens', '1.5'], '--max-tokens is `1.5`.'],
    ['a number out of bounds', ['run', model, '-p', 'x', '--temperature=-0.1'], '--temperature is'],
    ['a run without a prompt', ['run', model], 'needs a prompt'],
    ['--raw with --system', ['run', model, '-p', 'x', '--raw', '--system', 'y'], '--raw has no system message.'],
    ['a size that is none', ['run', model, '-p', 'x', '--gpu', '2TB'], '--gpu is `2TB`.'],
    ['more than all experts', ['run', model, '-p', 'x', '--gpu', '101%'], '--gpu is `101%`.'],
    ['no bytes for the GPU', ['logprobs', model, '--ids', '1', '--gpu', '0'], '--gpu is `0`.'],
    ['a share of memory', ['chat', model, '--memory', '25%'], '--memory is `25%`.'],
    ['less than no run-ahead', ['run', model, '-p', 'x', '--run-ahead=-1'], '--run-ahead is `-1`.'],
    ['a rate of nothing', ['plan', model, '--storage-rate', '0'], '--storage-rate is `0`.'],
    ['a trace that has no place', ['run', model, '-p', 'x', '--trace', '/no/such/x.trace'], "can't be written"],
    ['nothing to embed', ['embed', model], '`floe embed` needs a TEXT.'],
    ['a text beside ids', ['embed', model, 'x', '--ids', '1'], 'has no use for `x`'],
    ['ids to embed that are none', ['embed', model, '--ids', '1,x'], 'An id in --ids is `x`.'],
    ['ids that are none', ['logprobs', model, '--ids', '1,,2'], 'An id in --ids is ``.'],
  ])('refuses %s before anything is loaded', async (_, args, message) => {
    const { status, err, out, calls } = await type(args);
    expect({ status, out: out(), calls }).toEqual({ status: 1, out: '', calls: [] });
    expect(err()).toContain(message);
  });
  it('tells a typed error to a person with its remedy, to a script as JSON', async () => {
    const failure = Object.assign(new Error('The file ends at byte 9.'), {
      code: 'gguf/truncated',
      remedy: 'Download it again.',
      details: { sizeBytes: 9 },
    });
    expect((await type(['inspect', model], { failure })).err()).toBe(
      'error gguf/truncated: The file ends at byte 9.\nDownload it again.\n',
    );
    const { status, out } = await type(['inspect', model, '--json'], { failure });
    expect(status).toBe(1);
    expect(JSON.parse(out())).toEqual({
      error: {
        code: 'gguf/truncated',
        message: 'The file ends at byte 9.',
        remedy: 'Download it again.',
        details: { sizeBytes: 9 },
      },
    });
  });
});

describe('floe embed', () => {
  it('prints the vector of a text, its values on a line', async () => {
    const { status, out, err, calls } = await type(['embed', model, 'a red apple']);
    expect({ status, out: out(), err: err() }).toEqual({ status: 0, out: '0.6 -0.8\n', err: '' });
    expect(calls.slice(1)).toEqual([['embeddings', { input: 'a red apple' }], ['unload']]);
  });
  it('takes ids, and answers a script with JSON', async () => {
    const { out, calls } = await type(['embed', model, '--ids=2,5,3', '--dimensions', '2', '--json']);
    const usage = { prompt_tokens: 4, total_tokens: 4 };
    expect(JSON.parse(out())).toEqual({ embedding: [0.6, -0.8], dimensions: 2, usage });
    expect(calls[1]).toEqual(['embeddings', { input: [2, 5, 3], dimensions: 2 }]);
  });
  it('tells what a model that writes has to say of it, and unloads', async () => {
    const failure = Object.assign(new Error('It writes.'), { code: 'request/unsupported', remedy: 'Load another.' });
    const { status, err, calls } = await type(['embed', model, 'x'], { failure, failAt: 'embeddings' });
    expect({ status, err: err() }).toEqual({
      status: 1,
      err: 'error request/unsupported: It writes.\nLoad another.\n',
    });
    expect(calls.at(-1)).toEqual(['unload']);
  });
});

describe('floe run', () => {
  it('streams a chat answer, and unloads', async () => {
    const { status, out, err, calls } = await type(['run', model, '-p', 'hi', '--system', 'be kind', '--seed', '7']);
    expect({ status, out: out(), err: err() }).toEqual({ status: 0, out: 'SELECT 1;\n', err: '' });
    expect(calls).toMatchObject([
      ['loadModel', { path: model }, { budget: {} }],
      [
        'chat',
        {
          seed: 7,
          stream: true,
          messages: [
            { role: 'system', content: 'be kind' },
            { role: 'user', content: 'hi' },
          ],
        },
      ],
      ['unload'],
    ]);
    // The default temperature is the library's.
    expect(calls[1]![1]).not.toHaveProperty('temperature');
  });
  it('is greedy with --json, and answers with text and ids', async () => {
    const { out, calls } = await type(['run', model, '-p', 'hi', '--json']);
    expect(JSON.parse(out())).toMatchObject({ text: 'SELECT 1;', ids: [5, 6], finish_reason: 'stop' });
    expect(JSON.parse(out()).experts).toEqual({
      ...{ hits: 7, misses: 3, evictions: 2, loads: 3, stallMs: 1.5, blockingWaits: 4, nTokens: 2, faultedLayers: 2 },
      ...{ dropped: 0, droppedMass: 0 },
    });
    expect(calls[1]).toMatchObject(['chat', { temperature: 0 }]);
  });
  it('takes the prompt as it is with --raw, and for a file without a template', async () => {
    const asked = { prompt: 'SELECT', stream: true };
    expect((await type(['run', model, '-p', 'SELECT', '--raw'])).calls[1]).toMatchObject(['completions', asked]);
    const bare = { hasChatTemplate: false };
    expect((await type(['run', model, '-p', 'SELECT'], bare)).calls[1]).toMatchObject(['completions', asked]);
  });
  it('passes an interrupt on, says so, and unloads', async () => {
    const { status, err, calls } = await type(['run', model, '-p', 'hi'], { interruptAfter: 1 });
    expect(status).toBe(1);
    expect(err()).toContain('error request/aborted:');
    expect(calls.at(-1)).toEqual(['unload']);
  });
  it('draws progress for a person and nobody else, and leaves none of it behind', async () => {
    expect((await type(['run', model, '-p', 'hi'])).err()).toBe('');
    const { err } = await type(['run', model, '-p', 'hi'], { errIsTerminal: true });
    expect(err()).toContain('download ████████████░░░░░░░░░░░░ 1.0 of 2.0 MiB');
    const cleared = '\r\u001b[K';
    expect(err().endsWith(`MiB${cleared}[3 + 2 tokens; first after 0.01 s, then 100.0 tokens/s]\n`)).toBe(true);
  });
});

/** Each command that loads a model to answer by it. */
function answering(): string[][] {
  const text = join(folder, 'long.txt');
  writeFileSync(text, 'x'.repeat(1024));
  return [
    ['run', model, '-p', 'x'],
    ['chat', model],
    ['logprobs', model, '--ids', '1'],
    ['perplexity', model, text],
  ];
}

describe('budgets', () => {
  it.each([
    [['--gpu', '2GB'], { budget: { gpuBytes: 2e9 } }],
    [['--gpu', '1.5GiB', '--memory', '0'], { budget: { gpuBytes: 1.5 * 2 ** 30, memoryBytes: 0 } }],
    [['--gpu', '25%', '--memory', '500MB'], { budget: { gpuBytes: '25%', memoryBytes: 5e8 } }],
    [['--gpu', 'min', '--memory', '12 MiB'], { budget: { gpuBytes: 'min', memoryBytes: 12 * 2 ** 20 } }],
    [['--gpu', '2GB', '--adapter-memory', '50MB'], { budget: { gpuBytes: 2e9, adapterBytes: 5e7 } }],
    [['--gpu', '123456789'], { budget: { gpuBytes: 123456789 } }],
    [['--run-ahead', '0', '--no-prefetch'], { budget: {}, paging: { runAhead: 0, prefetch: false } }],
    [[], { budget: {} }],
  ])('%j is %j, for every command that loads a model', async (args, options) => {
    for (const command of answering()) {
      const { calls, err } = await type([...command, ...args]);
      expect(calls[0], err()).toEqual(['loadModel', { path: model }, options]);
    }
  });
  it('are told of, to a person and not among what a program reads', async () => {
    const notice = { kind: 'paged', message: '9 of 16 experts fit.' } as const;
    expect((await type(['run', model, '-p', 'hi'], { notice })).err()).toBe('note: 9 of 16 experts fit.\n');
    expect((await type(['run', model, '-p', 'hi', '--json'], { notice })).err()).toBe('');
  });
  it('are followed by what is still to come', async () => {
    const said = 'note: 12 of 16 experts are still on the server; each comes when the answer needs it.\n';
    expect((await type(['run', model, '-p', 'hi'], { nAbsent: 12 })).err()).toBe(said);
    expect((await type(['run', model, '-p', 'hi', '--json'], { nAbsent: 12 })).err()).toBe('');
  });
});

describe('addresses', () => {
  it('are of a hub too, and go out with headers', async () => {
    const address = 'hf:o/r@v1/m.gguf';
    const options = ['--hub', 'https://mirror.example', '--header', 'Authorization: Bearer a:b', '--header', 'X-A:1'];
    const headers = { Authorization: 'Bearer a:b', 'X-A': '1' };
    const { calls, err } = await type(['run', address, '-p', 'x', ...options]);
    const expected = ['loadModel', address, { budget: {}, headers, hub: 'https://mirror.example' }];
    expect(calls[0], err()).toEqual(expected);
    const plan = await type(['plan', address, ...options]);
    expect(plan.calls[0]).toMatchObject(['planLoad', address, { headers, hub: 'https://mirror.example' }]);
  });

  it('have no headers that are none, and a secret is not repeated', async () => {
    const { status, err } = await type(['run', model, '-p', 'x', '--header', 'secret']);
    expect(status).not.toBe(0);
    expect(err()).toMatch(/--header/);
    expect(err()).not.toMatch(/secret/);
  });
});

describe('--lora', () => {
  const [one, other] = ['one.gguf', 'a=b.gguf'].map((name) => join(folder, name)) as [string, string];
  for (const path of [one, other]) writeFileSync(path, 'GGUF');
  it('adds adapters in their order, each with its scale, for every command that runs a model', async () => {
    for (const command of [...answering(), ['embed', model, 'a text']]) {
      const { calls, err } = await type([
        ...command,
        '--lora',
        `${one}=-0.5`,
        '--lora',
        other,
        '--lora',
        `${other}=2e-1`,
      ]);
      expect(calls[0]?.[0], err()).toBe('loadModel');
      expect(calls.slice(1, 4)).toEqual([
        ['addAdapter', { path: one }, -0.5],
        ['addAdapter', { path: other }, 1],
        ['addAdapter', { path: other }, 0.2],
      ]);
    }
  });
  it.each([
    ['a file that is not there', '/no/such.gguf=0.5', 'There is no file /no/such.gguf.'],
    ['a scale that is no number', `${one}=half`, `There is no file ${one}=half.`],
    ['nothing', '', '--lora is empty.'],
  ])('refuses %s before anything is loaded', async (_, lora, message) => {
    const { status, err, calls } = await type(['run', model, '-p', 'x', '--lora', lora]);
    expect({ status, calls }).toEqual({ status: 1, calls: [] });
    expect(err()).toContain(message);
  });
});

describe('--trace', () => {
  const file = join(folder, 'a.trace');
  it('writes what the model gives, piece by piece, and nothing else', async () => {
    writeFileSync(file, 'an older and longer trace');
    const { status } = await type(['run', model, '-p', 'hi', '--trace', file], { trace: ['{}\n', 'ab', 'cd'] });
    expect(status).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe('{}\nabcd');
  });
  it('is refused for a model without experts, and leaves no file', async () => {
    const { status, err, calls } = await type(['run', model, '-p', 'hi', '--trace', file], { nExperts: 0 });
    expect(status).toBe(1);
    expect(err()).toContain('This model has no experts to trace.');
    expect(calls.at(-1)).toEqual(['unload']);
    expect(existsSync(file)).toBe(false);
  });
});

describe('floe plan', () => {
  it('asks for what was given, rates too, and loads nothing', async () => {
    const args = [
      '--gpu',
      '2GB',
      '--memory',
      '4GB',
      '--storage',
      '9GB',
      '--context',
      '512',
      '--storage-rate',
      '0.72GB',
    ];
    const { status, calls } = await type(['plan', model, ...args]);
    expect(status).toBe(0);
    const budget = { gpuBytes: 2e9, memoryBytes: 4e9, storageBytes: 9e9 };
    const asked = { budget, contextLength: 512, rates: { storage: 0.72e9 } };
    expect(calls).toEqual([['planLoad', { path: model }, asked]]);
  });
  it('says what lies where, and what speed to expect', async () => {
    expect((await type(['plan', model])).out()).toBe(`a model: arctic, Q4_0, 18.0 GB, 2 x 8 experts of 1.0 GB, 2 used

GPU          7.5 GB  dense 1.0 GB, KV of 2 x 4096 tokens 0.3 GB, activations 0.2 GB, 6 of 16 experts 6.0 GB
memory       8.0 GB  8 experts, those on the GPU among them
storage     12.0 GB  12 experts
network      4.0 GB  4 experts, each time
at least     4.5 GB  of GPU memory

a token, by where its missing experts come from (gpu 100 GB/s, upload 4 GB/s, storage 0.4 GB/s, network 0.013 GB/s):
routing      hits   memory  storage  network GB moved tokens/s
flat        50.0%      1.3      0.5      0.3     2.00      0.1
mid         50.0%      1.3      0.5      0.3     2.00     0.33
hot         50.0%      1.3      0.5      0.3     2.00      2.5
all on the GPU: 12 tokens/s
note: 6 of 16 experts fit.
`);
  });
  it('--json is the plan itself', async () => {
    const found = JSON.parse((await type(['plan', model, '--json'])).out());
    expect(found).toMatchObject({ gpu: { nSlots: 6 }, minimumGpuBytes: 4.5e9, speeds: { length: 3 } });
  });
});

describe('floe chat', () => {
  it('keeps the conversation, and /clear forgets it', async () => {
    const lines = ['one', '', 'two', '/clear', 'three', '/exit', 'never'];
    const { calls } = await type(['chat', model], { lines });
    const asked = calls.filter(([name]) => name === 'chat').map(([, request]) => request as { messages: unknown[] });
    expect(asked.map(({ messages }) => messages.length)).toEqual([1, 3, 1]);
    expect(calls.at(-1)).toEqual(['unload']);
  });
  it('goes on after an error that asking again may not meet', async () => {
    const failure = Object.assign(new Error('Full.'), { code: 'context/full', remedy: '/clear', details: {} });
    const { status, err } = await type(['chat', model], { lines: ['a', 'b'], failure, failAt: 'chat' });
    expect({ status, errors: err().match(/error context\/full/g)?.length }).toEqual({ status: 0, errors: 2 });
  });
});

describe('floe inspect', () => {
  it('prints metadata and tensors, long values cut', async () => {
    const { out } = await type(['inspect', model]);
    expect(out()).toContain('GGUF v3, architecture arctic, 2.0 MiB');
    expect(out()).toContain('tokenizer.ggml.tokens  ["0", "1", "2", "3", "4", "5", … 9 in all]');
    expect(out()).toMatch(/^eps +0\.00001$/m);
    expect(out()).toMatch(/^flags +\[1, 0\]$/m);
    expect(out()).toMatch(/token_embd\.weight\s+Q8_0\s+\[9, 32\]\s+0\.3 KiB/);
  });
  it('--json holds every value in full, beyond 2^53 as text', async () => {
    const found = JSON.parse((await type(['inspect', model, '--json'])).out());
    expect(found.metadata).toMatchObject({
      big: '9007199254740993',
      small: 7,
      flags: [1, 0],
      'tokenizer.ggml.tokens': { length: 9 },
    });
    expect(found.tensors[0]).toMatchObject({ name: 'token_embd.weight', shape: [9, 32] });
  });
});

describe('floe tokenize', () => {
  it('gives the ids of all of standard input, its byte order mark and line end too', async () => {
    const { out } = await type(['tokenize', model], { input: '\ufeffab\n' });
    expect(JSON.parse(out())).toEqual([0xfeff, 97, 98, 10]);
  });
  it('--batch answers a JSON array of strings with an array of arrays, and hands --special on', async () => {
    const { out, calls } = await type(['tokenize', model, '--batch', '--special'], { input: '["a","","bc"]' });
    expect(JSON.parse(out())).toEqual([[97], [], [98, 99]]);
    expect(calls.filter(([name]) => name === 'tokenize')).toEqual(Array(3).fill(['tokenize', { special: true }]));
  });
  it.each(['{', '[1]', '"a"'])('--batch refuses %s', async (input) => {
    expect((await type(['tokenize', model, '--batch'], { input })).status).toBe(1);
  });
  it('refuses input that is not UTF-8', async () => {
    const { err } = await type(['tokenize', model], { input: new Uint8Array([0x61, 0xff]) });
    expect(err()).toContain('Standard input is not UTF-8 text.');
  });
});

describe('floe logprobs', () => {
  it('asks for the ids as they are and 20 of each position', async () => {
    const { out, calls } = await type(['logprobs', model, '--ids', '1, 2,3']);
    expect(calls[1]).toMatchObject(['logprobs', [1, 2, 3], { top: 20 }]);
    expect(Object.keys(JSON.parse(out())[0])).toEqual(['position', 'top']);
    expect(JSON.parse(out())[2]).toMatchObject({ position: 2 });
  });
  it.each(['1,2, 3', '[1, 2, 3]\n', '1 2\n3\n'])('takes ids from a file: %j', async (text) => {
    const file = join(folder, 'ids.txt');
    writeFileSync(file, text);
    const { calls } = await type(['logprobs', model, '--ids-file', file]);
    expect(calls[1]).toMatchObject(['logprobs', [1, 2, 3], { top: 20 }]);
    expect((await type(['logprobs', model, '--ids-file', file, '--ids', '1'])).status).toBe(1);
    writeFileSync(file, `${text} x`);
    expect((await type(['logprobs', model, '--ids-file', file])).err()).toContain('An id in --ids-file is `');
  });
});

describe('the window', () => {
  it('is asked for as given, by every command that runs a model, and left to the library where not', async () => {
    const options = ['--window', '256', '--sinks', '0', '--kv', 'q8_0'];
    for (const args of [
      ['run', model, '-p', 'x'],
      ['logprobs', model, '--ids', '1'],
      ['chat', model],
    ]) {
      const { calls } = await type([...args, ...options], { input: '' });
      expect(calls[0]![2], args[0]).toMatchObject({ context: { window: 256, sinks: 0, kv: 'Q8_0' } });
    }
    const { calls } = await type(['run', model, '-p', 'x']);
    expect(calls[0]![2]).not.toHaveProperty('context');
  });
  it('makes one stream of a text whose perplexity is asked for', async () => {
    const file = join(folder, 'stream.txt');
    writeFileSync(file, 'abcdefgh'.repeat(100));
    const { out, calls } = await type(['perplexity', model, file, '--json', '--window', '256'], { contextLength: 256 });
    expect(JSON.parse(out())).toMatchObject({ n: 799, window: 256 });
    expect(calls.filter(([name]) => name === 'logprobs')).toHaveLength(1);
  });
  it.each([
    ['--kv', 'f8', '--kv is `f8`.'],
    ['--window', '1', '--window is `1`.'],
    ['--sinks', '-1', '--sinks is `-1`.'],
  ])('refuses %s %s', async (option, value, message) => {
    expect((await type(['run', model, '-p', 'x', `${option}=${value}`])).err()).toContain(message);
  });
});

describe('floe perplexity', () => {
  const perplexity = async (length: number, options: Parameters<typeof fakeContext>[0] = {}) => {
    const file = join(folder, 'text.txt');
    writeFileSync(file, 'abcdefgh'.repeat(Math.ceil(length / 8)).slice(0, length));
    return type(['perplexity', model, file, '--json'], options);
  };
  it('of a model that expects nothing is the size of its vocabulary, over the second halves', async () => {
    // 1100 tokens are two whole windows; in each, ids 257…511 are scored: 255.
    const { out, calls } = await perplexity(1100);
    const { ppl, n, error, window } = JSON.parse(out());
    // Of each position only the id that follows: a vocabulary of pairs would take hundreds of MiB a window.
    expect(calls.filter(([name]) => name === 'logprobs').map(([, , asked]) => asked)).toMatchObject(
      Array(2).fill({ top: 0 }),
    );
    expect({ n, window }).toEqual({ n: 510, window: 512 });
    expect(ppl).toBeCloseTo(200, 6);
    expect(error).toBeCloseTo(0, 6);
  });
  it('takes windows of the context where that is smaller, each beginning with BOS where the file adds one', async () => {
    const { out, calls } = await perplexity(300, { contextLength: 100, bos: 1 });
    // The text's own BOS makes 301 ids: three windows, in each 49 scored.
    expect(JSON.parse(out())).toMatchObject({ n: 147, window: 100 });
    const asked = calls.filter(([name]) => name === 'logprobs').map(([, ids]) => ids as number[]);
    expect(asked.map((ids) => [ids.length, ids[0]])).toEqual([
      [100, 1],
      [100, 1],
      [100, 1],
    ]);
  });
  it('says with --drop-below what leaving experts out costs', async () => {
    const file = join(folder, 'text.txt');
    writeFileSync(file, 'abcdefgh'.repeat(128));
    const { out, calls } = await type(['perplexity', model, file, '--drop-below', '0.25']);
    expect(out()).toContain(
      "left out 12.5% of the routed experts, 5.0% of the gates' weight: KL 2.50e-3 nats over 255 tokens",
    );
    expect(calls.find(([name]) => name === 'lossyCost')).toEqual(['lossyCost', 256]);
    expect(calls[0]![2]).toMatchObject({ paging: { dropBelow: 0.25 } });
    const refused = await type(['perplexity', model, file, '--drop-below', '2']);
    expect(refused.err()).toContain('--drop-below is `2`.');
  });
  it('refuses a text of less than two windows, accepts one of two', async () => {
    expect((await perplexity(1023)).out()).toContain('The text has 1023 tokens; perplexity needs at least 1024.');
    expect((await perplexity(1024)).status).toBe(0);
  });
});

describe('progressLine', () => {
  it.each([
    [{ phase: 'inspect', loaded: 0, total: 0 }, 'inspect'],
    [{ phase: 'download', loaded: 2 ** 20, total: 0 }, 'download 1.0 MiB'],
    [{ phase: 'compile', loaded: 3, total: 3 }, `compile  ${'█'.repeat(24)} 3 of 3 kernels`],
  ] as const)('%j', (progress, line) => {
    expect(progressLine({ file: 'x', notices: [], ...progress })).toBe(line);
  });
});
