import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { type BufferView, type DeviceOptions, readBuffer, whole } from '../gpu/index.ts';
import { argmaxReference } from './argmax.reference.ts';
import { argmax, NOTHING_PICKED } from './argmax.ts';
import { paddedRows, runThrice, testDevice, upload } from './testGraph.ts';

const random = seeded('argmax');
const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** argmax is the lowest id of the greatest number, at each length near a workgroup's edge and of real vocabularies. */
describe.each<DeviceOptions>([{}, { limits: 'default' }])('argmax, %o', (options) => {
  // 255, 256, 257: one lane idle, none, one lane twice. 1023, 1025: a last round of loads partly behind the end.
  it.each([1, 255, 256, 257, 1023, 1025, 2048, 32_000, 200_000, 262_144])(
    'equals the reference: nVocab=%i',
    async (nVocab) => {
      for (const logits of [random.normals(nVocab, 5), Float32Array.from(random.ints(nVocab, -3, 3))]) {
        await expectId(options, logits, argmaxReference(logits));
      }
    },
  );

  it.each([0, 1, 255, 256, 700, 1023])('finds the greatest wherever it stands: id %i of 1024', async (id) => {
    const logits = new Float32Array(1024).fill(-2);
    logits[id] = -1;
    await expectId(options, logits, id);
  });

  it.each([
    { what: 'the lowest id of equals, -0 and 0 among them', logits: [-1, -0, 0, 0], id: 1 },
    { what: 'never NaN, of either sign', logits: [nan, -5, nan, -4, nan], id: 3 },
    { what: '-inf before NaN', logits: [nan, -inf, nan], id: 1 },
    { what: 'inf', logits: [3e38, nan, inf, inf], id: 2 },
    { what: 'the least negative of large ones', logits: [-3e38, -3.1e38, -2.9e38], id: 2 },
  ])('picks $what', async ({ logits, id }) => {
    const values = Float32Array.from(logits);
    // The sign bit of a NaN is set where it came out of some subtractions.
    const bits = new Uint32Array(values.buffer);
    for (const [i, value] of values.entries()) if (Number.isNaN(value) && i % 4 === 0) bits[i] = 0xffc00001;
    expect(argmaxReference(logits)).toBe(id);
    await expectId(options, values, id);
  });
});

it('says so where all are NaN, and the next step reads some id', async () => {
  const device = await testDevice();
  const logits = upload(device, Float32Array.from([nan, nan, nan]));
  expect(await pick({}, logits, 3)).toEqual([NOTHING_PICKED, 0]);
});

it('reads the row its view begins at', async () => {
  const device = await testDevice();
  const [first, second] = [random.normals(64, 5), random.normals(64, 5)];
  const rows = upload(device, Float32Array.from([...first, ...second]));
  expect(await pick({}, { ...rows, offset: 256, sizeBytes: 256 }, 64)).toEqual([argmaxReference(second)]);
});

it('picks from each row its own', async () => {
  const device = await testDevice();
  const nVocab = 300;
  const rows = [1, 2, 3].map(() => random.normals(nVocab, 5));
  const logits = upload(
    device,
    paddedRows(
      rows.flatMap((row) => [...row]),
      nVocab,
    ),
  );
  const [sampled, tokens] = [upload(device, new Uint32Array(3)), upload(device, new Uint32Array(3))];
  const [run] = await runThrice(
    device,
    (rec) => argmax(rec, { logits, sampled, tokens, nRows: 3, nVocab, stage: 0 }),
    sampled,
    3,
  );
  expect([...new Uint32Array(run!.buffer)]).toEqual(rows.map(argmaxReference));
  expect([...new Uint32Array(await readBuffer(device, tokens.buffer, 0, 12))]).toEqual(rows.map(argmaxReference));
});

it('control: the reference of other logits is another id', async () => {
  const logits = random.normals(2048, 5);
  const other = logits.slice();
  other[argmaxReference(logits)] = -100;
  await expect(expectId({}, logits, argmaxReference(other))).rejects.toThrow('to deeply equal');
});

async function expectId(options: DeviceOptions, logits: Float32Array, id: number): Promise<void> {
  const device = await testDevice(options);
  expect(await pick(options, upload(device, logits), logits.length)).toEqual([id]);
}

/** The ids of three runs, each once, as the host and the next step would see them. */
async function pick(options: DeviceOptions, logits: BufferView, nVocab: number): Promise<number[]> {
  const device = await testDevice(options);
  const sampled = upload(device, Uint32Array.of(0xdead));
  const tokens = whole(device.buffers.storage('other', 'tokens', 256));
  const runs = await runThrice(
    device,
    (rec) => argmax(rec, { logits, sampled, tokens, nRows: 1, nVocab, stage: 0 }),
    sampled,
    1,
  );
  const [next] = new Uint32Array(await readBuffer(device, tokens.buffer, 0, 4));
  return [...new Set([...runs.map((run) => new Uint32Array(run.buffer)[0]!), next!])];
}
