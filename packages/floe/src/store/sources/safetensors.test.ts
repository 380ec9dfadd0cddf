/** A folder of safetensors is the GGUF that it would be converted to, wherever it lies and whatever part of it is read. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FilesServer, startFilesServer } from '@floe/testkit/filesServer';
import { type TensorInput, writeGguf } from '@floe/testkit/ggufWriter';
import { type RandomModelOptions, randomGguf } from '@floe/testkit/randomModel';
import { readmePath, readmeWith } from '@floe/testkit/readme';
import { type SafetensorsModel, type SafetensorsOptions, safetensorsModel } from '@floe/testkit/safetensors';
import { seeded } from '@floe/testkit/seeded';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { type Gguf, readGguf } from '../../gguf/index.ts';
import { nodeHost } from '../../host/node.ts';
import { planeBytes } from '../../quant/index.ts';
import { testHost } from '../host.testing.ts';
import { openWeights } from '../openWeights.ts';
import type { RecordPlan } from '../record.ts';
import type { ByteSource, ModelSource } from '../source.ts';
import { openSource, storedName } from './index.ts';

const host = testHost();
const node = nodeHost(null);
const temporary = mkdtempSync(join(tmpdir(), 'floe-safetensors-'));
afterAll(() => rmSync(temporary, { recursive: true }));

let server: FilesServer | undefined;
afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  server = undefined;
});

// Two heads of 32 for the queries of each key: rows that change places, and rows that must not.
const shape = { nLayers: 1, modelDim: 128, nHeads: 4, nKvHeads: 2, nVocab: 288, seed: 3, expertsApart: true };
const moe = { expertDim: 96, nExperts: 4, nExpertsUsed: 2 };
const families: Record<string, Omit<RandomModelOptions, 'type'>> = {
  llama: { ...shape, architecture: 'llama', ffDim: 160 },
  'llama, tied, heads of their own width': { ...shape, architecture: 'llama', ffDim: 160, tied: true, headDim: 48 },
  mixtral: { ...shape, architecture: 'llama', ...moe },
  arctic: { ...shape, architecture: 'arctic', ...moe, nLayers: 2 },
  qwen2: { ...shape, architecture: 'qwen2', ffDim: 160 },
  qwen2moe: { ...shape, architecture: 'qwen2moe', ffDim: 160, ...moe },
  phi3: { ...shape, architecture: 'phi3', ffDim: 160 },
  'phi3 with LongRoPE': {
    ...{ ...shape, architecture: 'phi3', ffDim: 160, nCtxTrain: 512 },
    ropeScaling: {
      type: 'longrope',
      original_context_length: 128,
      // Of a context four times as long.
      attn_factor: { f32: Math.sqrt(1 + Math.log(4) / Math.log(128)) },
    },
  },
  gemma2: { ...shape, architecture: 'gemma2', ffDim: 160, headDim: 48 },
  gemma3: { ...shape, architecture: 'gemma3', ffDim: 160, headDim: 48 },
  qwen3: { ...shape, architecture: 'qwen3', ffDim: 160, headDim: 64 },
  olmoe: { ...shape, architecture: 'olmoe', ...moe },
  qwen3moe: { ...shape, architecture: 'qwen3moe', ...moe },
};
const passed = { plain: new Set<string>(), scaled: new Set<string>() };

/** Chosen files, which are the quickest to open. */
function chosen({ files }: SafetensorsModel): File[] {
  return [...files].map(([name, bytes]) => new File([new Uint8Array(bytes)], name));
}

async function bytesOf(source: ByteSource): Promise<Uint8Array> {
  return source.read(0, source.sizeBytes);
}

function parse(bytes: Uint8Array): Promise<Gguf> {
  return readGguf({ sizeBytes: bytes.length, read: async (at, n) => bytes.subarray(at, at + n) });
}

/** Shape, type and bytes of each tensor. */
async function tensorsOf(bytes: Uint8Array): Promise<Map<string, Uint8Array>> {
  const { tensors } = await parse(bytes);
  return new Map(
    [...tensors.values()].map(({ name, shape: dims, typeName, offset, sizeBytes }) => [
      `${name} ${typeName} [${dims}]`,
      bytes.subarray(offset, offset + sizeBytes),
    ]),
  );
}

async function open(
  options: Omit<RandomModelOptions, 'type'> & { type?: 'F32' | 'F16' | 'BF16' },
  own: SafetensorsOptions = {},
) {
  const model = safetensorsModel(randomGguf({ type: 'F32', ...options }), own);
  return { ...model, bytes: await bytesOf(await openSource(host, chosen(model))) };
}

/** By name, so that what differs is named; compared as bytes, which takes no time. */
function differing(found: ReadonlyMap<string, Uint8Array>, expected: ReadonlyMap<string, Uint8Array>): string[] {
  const names = new Set([...found.keys(), ...expected.keys()]);
  return [...names].filter((name) => Buffer.compare(found.get(name) ?? EMPTY, expected.get(name) ?? EMPTY) !== 0);
}
const EMPTY = new Uint8Array();

/** The weights of each tensor, rounded to f32, as bytes. */
async function weightsOf(bytes: Uint8Array): Promise<Map<string, Uint8Array>> {
  const { tensors } = await parse(bytes);
  return new Map(
    [...tensors.values()].map(({ name, format, offset, sizeBytes, nElements }) => {
      const weights = format!.dequantize(bytes.subarray(offset, offset + sizeBytes), nElements);
      return [name, new Uint8Array(Float32Array.from(weights).buffer)];
    }),
  );
}

// What is the same in all families is checked in one.
const types: Record<string, ('F32' | 'F16' | 'BF16')[]> = { llama: ['F32', 'F16', 'BF16'] };
const scaleKinds: Record<string, ('tensor' | 'row' | 'block')[]> = { arctic: ['tensor', 'row', 'block'] };

describe.each(Object.entries(families))('%s', (name, options) => {
  it.each(types[name] ?? (['BF16'] as const))('%s: has the tensors of the GGUF, bit for bit', async (type) => {
    const { meant, bytes } = await open({ ...options, type }, { vectors: type, nShards: 3 });
    expect(differing(await tensorsOf(bytes), await tensorsOf(writeGguf(meant)))).toEqual([]);
    passed.plain.add(name);
  });

  it('says what the GGUF says', async () => {
    const { meant, bytes } = await open(options);
    const [found, expected] = [await parse(bytes), await parse(writeGguf(meant))];
    // Labels, which nothing depends on; and what is so without being said.
    const isLabel = (key: string) => /^general\.(name|file_type|quantization_version)$/.test(key);
    for (const [key, { value }] of expected.metadata.entries()) {
      if (!isLabel(key)) expect([key, found.metadata.get(key)]).toEqual([key, value]);
    }
    const more = [...found.metadata.entries()].map(([key]) => key).filter((key) => !expected.metadata.has(key));
    expect(more.filter((key) => !/unknown_token|attention\.(key|value)_length/.test(key))).toEqual([]);
  });

  it.each(scaleKinds[name] ?? (['block'] as const))(
    'F8_E4M3, a scale for each %s: has the weights it means',
    async (scales) => {
      // 256: rows of two blocks; an expert's 96 are no whole block, and become F32.
      const own = { scales, nShards: 2, scaleType: scales === 'row' ? 'BF16' : 'F32' } as const;
      const { meant, bytes } = await open({ ...options, modelDim: 256, nLayers: 1 }, own);
      const formats = [...(await parse(bytes)).tensors.values()].map(({ format }) => format!.name);
      const isF8 = ({ name, shape: dims }: TensorInput) =>
        /^blk/.test(name) && !/gate_inp/.test(name) && dims.length === 2 && dims[1]! % 128 === 0;
      expect(formats.filter((format) => format === 'F8_E4M3')).toHaveLength(meant.tensors.filter(isF8).length);
      expect(differing(await weightsOf(bytes), await weightsOf(writeGguf(meant)))).toEqual([]);
      passed.scaled.add(name);
    },
  );
});

it('biases of q and k, where a llama has them, change places with their rows', async () => {
  const qwen = randomGguf({ ...families.qwen2!, type: 'F32' });
  const rename = (key: string) => key.replace('qwen2.', 'llama.');
  const metadata = Object.fromEntries(Object.entries(qwen.metadata).map(([key, value]) => [rename(key), value]));
  const model = safetensorsModel({ ...qwen, metadata: { ...metadata, 'general.architecture': 'llama' } });
  const bytes = await bytesOf(await openSource(host, chosen(model)));
  expect(differing(await tensorsOf(bytes), await tensorsOf(writeGguf(model.meant)))).toEqual([]);
});

it('control: one row of q in the place of another is found', async () => {
  const { meant, bytes } = await open(families.llama!);
  const other = { ...meant, tensors: meant.tensors.map((each) => ({ ...each })) };
  const q = other.tensors.find(({ name }) => name === 'blk.0.attn_q.weight')!;
  const row = shape.modelDim;
  const turned = Float64Array.from(q.data);
  turned.set(q.data.subarray(row, 2 * row), 2 * row);
  Object.assign(q, { data: turned });
  expect(differing(await weightsOf(bytes), await weightsOf(writeGguf(other)))).toEqual(['blk.0.attn_q.weight']);
});

describe('parts of it', () => {
  it('are those of the whole, wherever they begin and end', async () => {
    const random = seeded('parts');
    for (const scales of [undefined, 'block'] as const) {
      const own = { nShards: 2, ...(scales ? { scales } : {}) };
      const model = safetensorsModel(randomGguf({ ...families.mixtral!, nLayers: 1, type: 'BF16' }), own);
      const source = await openSource(host, chosen(model));
      const whole = await bytesOf(source);
      for (let i = 0; i < 200; i++) {
        const offset = random.int(0, whole.length - 1);
        const length = random.int(0, Math.min(3000, whole.length - offset));
        const part = await source.read(offset, length);
        expect(Buffer.compare(part, whole.subarray(offset, offset + length)), `${length} from ${offset}`).toBe(0);
      }
    }
  });

  it('of neighbours come in one request', async () => {
    server = await startFilesServer(served(safetensorsModel(randomGguf({ ...families.arctic!, type: 'BF16' })).files));
    const source = await openSource(host, `${server.origin}/m/`);
    const { tensors } = await readGguf(source);
    const expert = ['gate', 'up', 'down'].map((stem) => tensors.get(`blk.1.ffn_${stem}.3.weight`)!);
    const start = Math.min(...expert.map(({ offset }) => offset));
    const end = Math.max(...expert.map(({ offset, sizeBytes }) => offset + sizeBytes));
    expect(end - start).toBe(expert.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    server.clearLog();
    await source.read(start, end - start);
    expect(server.requests).toHaveLength(1);
  });
});

const served = (files: ReadonlyMap<string, Uint8Array>) =>
  new Map([...files].map(([name, bytes]) => [`/m/${name}`, bytes]));

describe('addresses', () => {
  const model = safetensorsModel(randomGguf({ ...families.llama!, type: 'BF16' }), { nShards: 2 });
  const whole = openSource(host, chosen(model)).then(bytesOf);

  it.each(['', 'config.json', 'model.safetensors.index.json', 'model-00002-of-00002.safetensors'])(
    'of a server: /m/%s',
    async (file) => {
      server = await startFilesServer(served(model.files));
      const address = `${server.origin}/m/${file}`;
      const source = await openSource(host, address);
      expect(Buffer.compare(await bytesOf(source), await whole)).toBe(0);
      expect(source).toMatchObject({ name: `${server.origin}/m/`, local: false, ranges: true });
      expect(source.version).toMatch(/^[0-9a-f]{32}$/);
      // The JSON files take about as much as the header that is made of them.
      expect(source.fetchedBytes).toBeGreaterThan(0.9 * source.sizeBytes);
      expect(storedName(host, address)).toBe(source.name);
      await source.close();
    },
  );

  it('have one version, in whatever order answers come', async () => {
    server = await startFilesServer(served(model.files));
    const slow = (name: string) => async (url: string, init?: RequestInit) => {
      if (url.endsWith(name)) await new Promise((resolve) => setTimeout(resolve, 50));
      return fetch(url, init);
    };
    const names = ['config.json', 'tokenizer.json', 'model-00001-of-00002.safetensors'];
    const opening = names.map((name) => openSource(host, `${server!.origin}/m/`, { fetch: slow(name) }));
    const versions = (await Promise.all(opening)).map(({ version }) => version);
    expect(new Set(versions).size).toBe(1);
  });

  it('of a hub’s repository', async () => {
    const at = '/o/r/resolve/v1/';
    server = await startFilesServer(new Map([...model.files].map(([name, bytes]) => [at + name, bytes])));
    const source = await openSource(host, 'hf:o/r@v1', { hub: server.origin });
    expect(Buffer.compare(await bytesOf(source), await whole)).toBe(0);
    expect(storedName(host, 'hf:o/r@v1', server.origin)).toBe(`${server.origin}${at}`);
  });

  it.each(['', 'config.json'])('of a folder here: %s', async (file) => {
    for (const [name, bytes] of model.files) writeFileSync(join(temporary, name), bytes);
    const source = await openSource(node, { path: `${temporary}/${file}` });
    expect(source.local).toBe(true);
    expect(Buffer.compare(await bytesOf(source), await whole)).toBe(0);
    await source.close();
  });

  it('of a server that answers with a page where a file is not there', async () => {
    const page = new TextEncoder().encode('<!DOCTYPE html><title>404</title>');
    server = await startFilesServer(new Map([['/m/chat_template.jinja', page], ...served(model.files)]));
    expect(Buffer.compare(await bytesOf(await openSource(host, `${server.origin}/m/`)), await whole)).toBe(0);
  });

  it('a server without ranges is refused', async () => {
    server = await startFilesServer(served(model.files), { ranges: false });
    await expect(openSource(host, `${server.origin}/m/`)).rejects.toMatchObject({ code: 'net/range' });
  });
});

describe('in the store', () => {
  // As a load would: some records are matrices, others vectors.
  const makePlans = ({ tensors }: Gguf): RecordPlan[] =>
    [...tensors.values()].map(({ name, format, shape: dims, offset, sizeBytes, nElements }) => {
      const rowElements = dims.at(-1)!;
      const nRows = nElements / rowElements;
      const { main, side } = planeBytes(format!, nRows, rowElements);
      const sideOffset = Math.ceil(main / 256) * 256;
      const sources = [{ tensor: name, offset, sizeBytes }];
      const matrices = [{ format: format!.name, nRows, rowElements, sources, mainOffset: 0, sideOffset }];
      return { key: name, sizeBytes: sideOffset + Math.ceil(side / 256) * 256, matrices };
    });
  const readHeader = (bytes: ByteSource) => readGguf(bytes);
  const recordsOf = async (source: ModelSource) => {
    const { plans, weights, from } = await openWeights(host, source, { readHeader, makePlans });
    const records = new Map<string, Uint8Array>();
    for (const plan of plans) records.set(plan.key, await weights.read(plan));
    await weights.close();
    return { records, from };
  };

  it('records are those of the files here, and none comes twice from the network', async () => {
    const model = safetensorsModel(randomGguf({ ...families.llama!, type: 'F32' }), { scales: 'block', nShards: 2 });
    const expected = await recordsOf(chosen(model));
    server = await startFilesServer(served(model.files));
    const first = await recordsOf(`${server.origin}/m/`);
    expect([first.from, differing(first.records, expected.records)]).toEqual(['network', []]);
    server.clearLog();
    const second = await recordsOf(`${server.origin}/m/config.json`);
    expect([second.from, differing(second.records, expected.records)]).toEqual(['store', []]);
    expect(server.requests).toEqual([]);
  });

  it('what comes later is fetched when it is read, on the next visit too', async () => {
    const model = safetensorsModel(randomGguf({ ...families.mixtral!, type: 'F32' }), { scales: 'row', nShards: 2 });
    const expected = await recordsOf(chosen(model));
    server = await startFilesServer(served(model.files));
    const later = ({ key }: RecordPlan) => /\.ffn_(gate|up|down)\.\d/.test(key);
    const visit = async (wanted: string) => {
      const options = { readHeader, makePlans, later, background: 'off' } as const;
      const { plans, weights, from } = await openWeights(host, `${server!.origin}/m/`, options);
      const record = await weights.read(plans.find(({ key }) => key === wanted)!);
      await weights.close();
      return [from, Buffer.compare(record, expected.records.get(wanted)!)];
    };
    expect(await visit('blk.0.ffn_up.1.weight')).toEqual(['network', 0]);
    server.clearLog();
    expect(await visit('blk.0.ffn_up.1.weight')).toEqual(['store', 0]);
    expect(server.requests).toEqual([]);
    expect(await visit('blk.0.ffn_down.3.weight')).toEqual(['store', 0]);
    expect(server.requests.length).toBeGreaterThan(0);
  });

  it('it has no hash of its own', async () => {
    const attempt = openWeights(host, 'https://a.example/m/', { readHeader, makePlans, sha256: 'ab' });
    await expect(attempt).rejects.toMatchObject({ code: 'request/invalid' });
  });
});

/** The README's table. `pnpm unit packages/floe/src/store/sources/safetensors.test.ts -u` writes it. */
it('the README has a row for each family that was checked above, and no other', async () => {
  const names = Object.keys(families).filter((name) => !name.includes(','));
  const table = [
    '| safetensors of | tensors are those of the GGUF, bit for bit | F8_E4M3 with scales: weights are those meant |',
    '|---|---|---|',
    ...names.map(
      (name) => `| ${name} | ${passed.plain.has(name) ? 'yes' : 'no'} | ${passed.scaled.has(name) ? 'yes' : 'no'} |`,
    ),
  ];
  await expect(readmeWith('safetensors', table)).toMatchFileSnapshot(readmePath);
});
