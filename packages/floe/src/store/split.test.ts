/** A split model is the model it was cut from, wherever its parts lie and whatever order they come in. */
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testData } from '@floe/testkit/data';
import { type FilesServer, startFilesServer } from '@floe/testkit/filesServer';
import { writeGguf } from '@floe/testkit/ggufWriter';
import { openOracle } from '@floe/testkit/oracle';
import { kv, number, rawGguf, text } from '@floe/testkit/rawGguf';
import { seeded } from '@floe/testkit/seeded';
import { partName, splitGguf } from '@floe/testkit/splitGguf';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { type Gguf, readGguf, type TensorInfo } from '../gguf/index.ts';
import { nodeHost } from '../host/node.ts';
import { planeBytes } from '../quant/index.ts';
import { testHost } from './host.testing.ts';
import { openWeights } from './openWeights.ts';
import type { MatrixPlan, RecordPlan } from './record.ts';
import type { ByteSource, ModelSource } from './source.ts';
import { openSource, storedName } from './sources/index.ts';

const random = seeded('split');
const tensor = (name: string, ...shape: number[]) => ({
  name,
  shape,
  type: 'F32' as const,
  data: random.normals(shape.reduce((product, dim) => product * dim, 1)),
});
/** Gate, up and down of one expert: three parts have one each. */
const whole = writeGguf({
  metadata: { 'general.architecture': 'llama', 'tokenizer.ggml.tokens': ['a', 'b'], 'general.name': 'cut' },
  // 7 and 5 weights: no part's data ends where the next one's may begin.
  tensors: [tensor('norm', 7), tensor('gate', 8, 4), tensor('up', 8, 4), tensor('odd', 5), tensor('down', 4, 8)],
});
const parts = splitGguf(whole, [2, 2, 1]);
const names = [1, 2, 3].map((part) => partName('m', part, 3));
const files = (some: readonly (Uint8Array | undefined)[] = parts) =>
  new Map(some.flatMap((part, i) => (part ? [[`/${names[i]}`, part] as const] : [])));

let server: FilesServer | undefined;
const start = async (...given: Parameters<typeof startFilesServer>) => {
  server = await startFilesServer(...given);
  return `${server.origin}/${names[0]}`;
};
afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  server = undefined;
});
const temporary = mkdtempSync(join(tmpdir(), 'floe-split-'));
afterAll(() => rmSync(temporary, { recursive: true }));
const host = testHost();
const node = nodeHost(null);

/** Every tensor and all metadata but what spoke of parts. */
async function expectWhole(source: ByteSource): Promise<void> {
  const wholeSource = { sizeBytes: whole.length, read: async (at: number, n: number) => whole.slice(at, at + n) };
  const [found, expected] = [await readGguf(source), await readGguf(wholeSource)];
  expect([...found.metadata.entries()]).toEqual([...expected.metadata.entries()]);
  expect([...found.tensors.keys()]).toEqual([...expected.tensors.keys()]);
  for (const { name, offset, sizeBytes, shape } of found.tensors.values()) {
    const original = expected.tensors.get(name)!;
    expect(shape).toEqual(original.shape);
    const bytes = whole.slice(original.offset, original.offset + original.sizeBytes);
    expect(await source.read(offset, sizeBytes), name).toEqual(bytes);
  }
  const all = await source.read(0, source.sizeBytes);
  if (source.stream) {
    const pieces: Uint8Array[] = [];
    for await (const piece of source.stream()) pieces.push(piece);
    expect(new Uint8Array(Buffer.concat(pieces))).toEqual(all);
  }
  await source.close();
}

describe('a split model', () => {
  it.each([0, 1, 2])('is whole from the address of part %i, query and all', async (part) => {
    await start(new Map([...files()].map(([path, file]) => [`${path}?token=1`, file])));
    const source = await openSource(host, `${server!.origin}/${names[part]}?token=1`, { probeBytes: 64 });
    expect(source).toMatchObject({ local: false, ranges: true });
    await expectWhole(source);
  });

  it('is whole from files in any order, and from paths', async () => {
    await expectWhole(
      await openSource(
        host,
        [2, 0, 1].map((i) => new File([parts[i]!], `renamed ${i}`)),
      ),
    );
    for (const [i, part] of parts.entries()) writeFileSync(join(temporary, names[i]!), part);
    await expectWhole(await openSource(node, { path: join(temporary, names[1]!) }));
    const first = splitGguf(whole, [0, 2, 3]); // Some tools put no tensors into the first.
    await expectWhole(
      await openSource(
        host,
        first.map((part) => new Blob([part])),
      ),
    );
  });

  it('is kept under the name of its first part', () => {
    const address = (i: number) => `https://a.example/x/${names[i]}?b=1`;
    expect(storedName(host, address(2))).toBe(`https://a.example/x/${names[0]}`);
    expect(storedName(host, [new Blob()])).toBeNull();
  });

  /** One record of three matrices, each from a part of its own, and each other tensor by itself. */
  const makePlans = (gguf: Gguf): RecordPlan[] => {
    const of = (...names: string[]) => {
      let sizeBytes = 0;
      const matrices = names.map((name): MatrixPlan => {
        const { offset, sizeBytes: bytes, shape, format, nElements } = gguf.tensors.get(name) as TensorInfo;
        const rowElements = shape.at(-1)!;
        const mainOffset = sizeBytes;
        sizeBytes += Math.ceil(planeBytes(format!, nElements / rowElements, rowElements).main / 256) * 256;
        const sources = [{ tensor: name, offset, sizeBytes: bytes }];
        return {
          format: 'F32',
          nRows: nElements / rowElements,
          rowElements,
          sources,
          mainOffset,
          sideOffset: sizeBytes,
        };
      });
      return { key: names[0]!, sizeBytes, matrices };
    };
    return [of('gate', 'up', 'down'), of('norm'), of('odd')];
  };
  const open = (source: ModelSource, on = host) =>
    openWeights(on, source, { readHeader: (bytes: ByteSource) => readGguf(bytes), makePlans });
  const records = async (source: ModelSource, on = host) => {
    const { plans, weights, from } = await open(source, on);
    const bytes = await Promise.all(plans.map((plan) => weights.read(plan)));
    await weights.close();
    return { from, bytes };
  };

  it('gives the same records as the whole, a record’s parts from three files, and none twice from the network', async () => {
    const expected = await records(new Blob([new Uint8Array(whole)]));
    const address = await start(files());
    expect(await records(address)).toEqual({ ...expected, from: 'network' });
    server!.clearLog();
    expect(await records(`${server!.origin}/${names[2]}`)).toEqual({ ...expected, from: 'store' });
    expect(server!.requests).toEqual([]);
  });

  it('comes through a server that knows no ranges', async () => {
    const expected = await records(new Blob([new Uint8Array(whole)]));
    expect(await records(await start(files(), { ranges: false }))).toEqual({ ...expected, from: 'network' });
  });

  it('has no hash of its own', async () => {
    const attempt = openWeights(host, [new Blob(), new Blob()], {
      readHeader: (bytes: ByteSource) => readGguf(bytes),
      makePlans,
      sha256: 'ab',
    });
    await expect(attempt).rejects.toMatchObject({ code: 'request/invalid' });
  });
});

it('control: llama.cpp reads parts that were cut so', async () => {
  const model = new Uint8Array(readFileSync(testData('arctic-tiny-sql-q4_0.gguf')!));
  const { tensors } = await readGguf({ sizeBytes: model.length, read: async (at, n) => model.slice(at, at + n) });
  for (const [i, part] of splitGguf(model, [10, 0, tensors.size - 10]).entries()) {
    writeFileSync(join(temporary, partName('tiny', i + 1, 3)), part);
  }
  const path = join(temporary, partName('tiny', 1, 3));
  const llama = await openOracle(path);
  expect(await llama.greedy([1, 2, 3], 4)).toHaveLength(4);
  await llama.close();
  const source = await openSource(node, { path });
  expect((await readGguf(source)).tensors.size).toBe(tensors.size);
  await source.close();
});

describe('parts that don’t fit', () => {
  const joined = (...some: Uint8Array<ArrayBuffer>[]) =>
    openSource(
      host,
      some.map((part) => new Blob([part])),
    );
  const [a, b, c] = parts as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
  const other = splitGguf(whole, [2, 2, 1], { 1: { tensors: 6 }, 2: { no: 1 } });

  it('a control: these three do', async () => expectWhole(await joined(c, a, b)));

  it.each([
    ['one is missing', () => joined(a, c), /3 parts; 2 were given/],
    ['one is there twice', () => joined(a, b, b), /both part 2 of 3/],
    ['one has the number of another', () => joined(a, b, other[2]!), /both part 2 of 3/],
    ['one counts other tensors', () => joined(a, other[1]!, c), /another model.*split.tensors.count/],
    ['they have fewer tensors than they say', () => joined(a, b, splitGguf(whole, [2, 2, 0])[2]!), /4 tensors.*5/],
    ['one is a whole model', () => joined(a, b, new Uint8Array(whole)), /of a model of 1 parts/],
  ])('are refused: %s', async (_, attempt, message) => {
    await expect(attempt()).rejects.toThrow(message);
    await expect(attempt()).rejects.toMatchObject({ code: 'gguf/split' });
  });

  it('are refused where a part has a tensor of another part', async () => {
    const copies = splitGguf(whole, [2, 2, 1]);
    copies[2] = splitGguf(whole, [4, 0, 1], { 0: { no: 2 } })[0]!;
    await expect(joined(...copies)).rejects.toThrow(/"norm" is in .* and in/);
  });

  it('are refused where one is not at its address or path, which is named', async () => {
    const address = await start(files([a, undefined, c]));
    const attempt = openSource(host, address);
    await expect(attempt).rejects.toMatchObject({ code: 'gguf/split', details: { number: 2 } });
    await expect(attempt).rejects.toThrow(names[1]);
    writeFileSync(join(temporary, partName('lone', 1, 2)), a);
    const path = openSource(node, { path: join(temporary, partName('lone', 1, 2)) });
    await expect(path).rejects.toMatchObject({ code: 'gguf/split', details: { number: 2 } });
  });

  it('are refused where one stands for the model, by itself', async () => {
    const lone = await openSource(host, new Blob([b]));
    await expect(readGguf(lone)).rejects.toThrow(/part 2 of 3/);
    await expect(readGguf(lone)).rejects.toMatchObject({ code: 'gguf/split' });
    expect((await readGguf(lone, { onSplitPart: 'keep' })).tensors.size).toBe(2);
  });

  it('a control: an error of the network stays one', async () => {
    const offline = { ...host, fetch: () => Promise.reject(new TypeError('fetch failed')) };
    await expect(openSource(offline, `https://a.example/${names[0]}`)).rejects.toMatchObject({ code: 'net/offline' });
  });
});

/** Sparse files: the bytes between take no room. */
describe('beyond 4 GiB', () => {
  const F32 = 0;
  /** `big`, zeros but for its last weights, then `small`. */
  function writeSparse(name: string, split?: { readonly no: number; readonly count: number }): number {
    const nBig = 2 ** 30 + 8; // 4 GiB and 32 bytes.
    const kvs = [
      kv('general.architecture', 'string', text('llama')),
      ...(split
        ? [kv('split.no', 'u16', number('u16', split.no)), kv('split.count', 'u16', number('u16', split.count))]
        : []),
    ];
    const suffix = split ? `.${split.no}` : '';
    const tensors = [
      { name: `big${suffix}`, ne: [nBig], type: F32, offset: 0, data: new Uint8Array() },
      { name: `small${suffix}`, ne: [4], type: F32, offset: 4 * nBig, data: new Uint8Array() },
    ];
    const header = rawGguf({ kvs, tensors });
    const end = Math.ceil(header.length / 32) * 32 + 4 * nBig;
    const file = openSync(join(temporary, name), 'w');
    writeSync(file, header);
    ftruncateSync(file, end + 16);
    writeSync(file, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), 0, 8, end - 4);
    closeSync(file);
    return end;
  }

  it('bytes are read where they lie', async () => {
    const end = writeSparse('big.gguf');
    const source = await openSource(node, { path: join(temporary, 'big.gguf') });
    const { tensors } = await readGguf(source);
    expect(tensors.get('small')!.offset).toBe(end);
    expect(await source.read(end - 4, 8)).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    await source.close();
  });

  it('of a split model too, whose parts together are larger than any', async () => {
    for (const no of [0, 1]) writeSparse(partName('big', no + 1, 2), { no, count: 2 });
    const source = await openSource(node, { path: join(temporary, partName('big', 1, 2)) });
    const { tensors } = await readGguf(source);
    const { offset } = tensors.get('small.1')!;
    expect(offset).toBeGreaterThan(2 ** 33);
    expect(await source.read(offset - 4, 8)).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    expect(await source.read(tensors.get('small.0')!.offset, 4)).toEqual(Uint8Array.of(5, 6, 7, 8));
    await source.close();
  });
});
