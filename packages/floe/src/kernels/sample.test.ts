import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { type DeviceOptions, type Recorder, readBuffer } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import { argmaxReference } from './argmax.reference.ts';
import { candidatesReference, pickReference, type SamplingValues } from './sample.reference.ts';
import { SAMPLING_VALUES, sample } from './sample.ts';
import { runThrice, testDevice, upload } from './testGraph.ts';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const PLAIN: SamplingValues = { temperature: 1, topK: 0, topP: 1, minP: 0, u: 0 };
/** f32 sums of 1024 weights and exp of WGSL (3 + 2|x| ULP) round to about 1e-6 of the total. */
const MARGIN = 1e-5;

interface Draw {
  readonly logits: Float32Array;
  readonly values: SamplingValues;
}

describe.each<DeviceOptions>([
  { family: 'thread' },
  { family: 'cooperative' },
  { family: 'cooperative', limits: 'default' },
])('sample, %o', (options) => {
  // 255, 257: near the lanes' number. 2048: twice the candidates. 32000, 200k, 262144: vocabularies, the last the largest.
  const lengths = [
    { nVocab: 1, nLogits: 2 },
    { nVocab: 2, nLogits: 8 },
    { nVocab: 255, nLogits: 16 },
    { nVocab: 257, nLogits: 16 },
    { nVocab: 1025, nLogits: 12 },
    { nVocab: 2048, nLogits: 12 },
    { nVocab: 32_000, nLogits: 5 },
    { nVocab: 200_000, nLogits: 2 },
    { nVocab: 262_144, nLogits: 1 },
  ];
  it.each(lengths)('draws what the reference draws: nVocab=$nVocab', async ({ nVocab, nLogits }) => {
    await expectReference(
      options,
      randomDraws(`random ${nVocab}`, nVocab, nLogits, (random) => random.normals(nVocab, 3)),
    );
  });

  it.each(lengths)(
    'takes the lowest ids of equals, also where the k-th is one of them: nVocab=$nVocab',
    async (length) => {
      const { nVocab, nLogits } = length;
      // Whole numbers: each is there hundreds of times in a large vocabulary.
      const logits = (random: ReturnType<typeof seeded>) => random.normals(nVocab, 2).map(Math.round);
      await expectReference(options, randomDraws(`ties ${nVocab}`, nVocab, nLogits, logits));
    },
  );

  it('of 5000 equals, the first 1024 are drawn in their order, or the first k', async () => {
    const logits = new Float32Array(5000).fill(-7.5);
    const at = (i: number, n: number, topK: number) => ({ logits, values: { ...PLAIN, topK, u: (i + 0.5) / n } });
    const draws = [...[0, 1, 511, 1023].map((i) => at(i, 1024, 0)), ...[0, 20, 39].map((i) => at(i, 40, 40))];
    expect(await draw(options, draws)).toEqual([0, 1, 511, 1023, 0, 20, 39]);
  });

  it('top-k 1, top-p 0, min-p 1 and temperature 0 are argmax', async () => {
    const random = seeded('greedy');
    const settings = [{ topK: 1 }, { topP: 0 }, { minP: 1 }, { temperature: 0 }, { temperature: 0, minP: 0.5 }];
    const draws = [1, 300, 5000].flatMap((nVocab) =>
      settings.map((setting): Draw => {
        const logits = random.normals(nVocab, 4);
        return { logits, values: { ...PLAIN, ...setting, u: random.uniform() } };
      }),
    );
    // Three equal ones in front, which all but min-p tell apart by their ids.
    for (const setting of settings.filter(({ minP }) => minP !== 1)) {
      draws.push({ logits: Float32Array.of(nan, 1, 3, 3, 3), values: { ...PLAIN, ...setting, u: 0.99 } });
    }
    expect(await draw(options, draws)).toEqual(draws.map(({ logits }) => argmaxReference(logits)));
  });

  it.each([
    { what: 'NaN and -inf are never drawn', logits: [nan, 0, -inf, 0, nan], drawn: [1, 1, 3, 3] },
    { what: 'inf is drawn before all else, evenly', logits: [3e38, inf, nan, inf], drawn: [1, 1, 3, 3] },
    { what: 'of NaN alone the lowest id', logits: [nan, nan, nan], drawn: [0, 0, 0, 0] },
    { what: 'of -inf alone the lowest id', logits: [nan, -inf, -inf], drawn: [1, 1, 1, 1] },
    { what: 'the whole range of f32 does not overflow', logits: [-3.4e38, 3.4e38, 0, 3.4e38], drawn: [1, 1, 3, 3] },
    { what: '-0 equals 0', logits: [-0, 0, -200], drawn: [0, 0, 1, 1] },
    { what: 'a weight of e^-90 is none', logits: [-90, 0, 0, -90], drawn: [1, 1, 2, 2] },
  ])('$what', async ({ logits, drawn }) => {
    // A u next to 1 is 1 as f32; what has no mass is not drawn then either.
    const us = [0, 0.499, 0.501, 1];
    const draws = us.map((u) => ({ logits: Float32Array.from(logits), values: { ...PLAIN, u } }));
    expect(await draw(options, draws)).toEqual(drawn);
  });
});

it('a thousand NaN among the candidates leave the others as they are', async () => {
  const logits = new Float32Array(3000).fill(nan);
  logits.set([1, 2, 1], 2000);
  const draws = [0.1, 0.5, 0.7, 0.95].map((u) => ({ logits, values: { ...PLAIN, u, topP: 0.99, minP: 0.01 } }));
  await expectReference({}, draws);
});

describe('distribution', () => {
  const logits = Float32Array.of(1, -1, 0.5, 2, 0, 1.5, -2, 0.25);
  const values = { temperature: 1.2, topK: 7, topP: 0.95, minP: 0.05 };

  it('2000 draws of a small vocabulary pass a chi-square test', async () => {
    expect(chiSquare(await counts(), candidatesReference(logits, values))).toBeLessThan(20.5);
  });

  it('control: they do not pass that of a temperature of 1.5', async () => {
    const other = { ...values, temperature: 1.5 };
    expect(chiSquare(await counts(), candidatesReference(logits, other))).toBeGreaterThan(20.5);
  });

  let drawn: Promise<Map<number, number>> | undefined;
  function counts(): Promise<Map<number, number>> {
    drawn ??= drawAndCount();
    return drawn;
  }

  async function drawAndCount(): Promise<Map<number, number>> {
    const us = seeded('chi-square').uniforms(2000);
    const counted = new Map<number, number>();
    for (const id of await draw(
      {},
      [...us].map((u) => ({ logits, values: { ...values, u } })),
      1,
    )) {
      counted.set(id, (counted.get(id) ?? 0) + 1);
    }
    return counted;
  }

  /** At most six candidates, so five degrees of freedom: 20.5 is passed by chance once in a thousand. Infinity if another id was drawn. */
  function chiSquare(
    drawn: Map<number, number>,
    { ids, probabilities }: ReturnType<typeof candidatesReference>,
  ): number {
    if ([...drawn.keys()].some((id) => !ids.includes(id))) return inf;
    return ids.reduce((sum, id, i) => {
      const expected = 2000 * probabilities[i]!;
      return sum + ((drawn.get(id) ?? 0) - expected) ** 2 / expected;
    }, 0);
  }
});

it.each([
  { what: 'temperature', wrong: { temperature: 0.7 } },
  { what: 'top-k', wrong: { topK: 12 } },
  { what: 'top-p', wrong: { topP: 0.6 } },
  { what: 'min-p', wrong: { minP: 0.1 } },
  { what: 'u', wrong: { u: 0.3 } },
])('control: another $what draws other ids', async ({ wrong }) => {
  const random = seeded('control');
  const draws = Array.from({ length: 50 }, (): Draw => {
    const values = { temperature: 1.3, topK: 30, topP: 0.9, minP: 0.01, u: random.uniform() };
    return { logits: random.normals(300, 2), values };
  });
  const expected = draws.map(({ logits, values }) => pickReference(candidatesReference(logits, values), values.u).id);
  const drawn = await draw(
    {},
    draws.map(({ logits, values }) => ({ logits, values: { ...values, ...wrong } })),
  );
  expect(drawn).not.toEqual(expected);
});

/** Each list of logits with some settings, each of these with four u. */
function randomDraws(
  seed: string,
  nVocab: number,
  nLogits: number,
  logitsOf: (random: ReturnType<typeof seeded>) => Float32Array,
): Draw[] {
  const random = seeded(seed);
  return Array.from({ length: nLogits }, () => logitsOf(random)).flatMap((logits, i) => {
    const settings = {
      temperature: random.pick([0.3, 0.7, 1, 1.5]),
      // In turn, so that a few lists meet them all: none, few, as many as lanes, more, more than there may be.
      topK: [0, 40, 256, 300, 5000][(i + nVocab) % 5]!,
      topP: random.pick([1, 0.95, 0.5]),
      minP: random.pick([0, 0.001, 0.05]),
    };
    return [0, 1, 2, 3].map((): Draw => ({ logits, values: { ...settings, u: random.uniform() } }));
  });
}

async function expectReference(options: DeviceOptions, draws: readonly Draw[]): Promise<void> {
  const drawn = await draw(options, draws);
  let nCompared = 0;
  for (const [i, { logits, values }] of draws.entries()) {
    const candidates = candidatesReference(logits, rounded(values));
    const { id, margin } = pickReference(candidates, Math.fround(values.u));
    if (Math.min(candidates.margin, margin) < MARGIN) continue;
    expect(drawn[i], `draw ${i}: ${JSON.stringify(values)}`).toBe(id);
    nCompared++;
  }
  // Of a thousand borders, some lie near u; most draws must count all the same.
  expect(nCompared).toBeGreaterThan(draws.length / 2);
}

/** As the shader gets them. */
function rounded({ temperature, topK, topP, minP, u }: SamplingValues): SamplingValues {
  const [f32Temperature, f32TopP, f32MinP] = Float32Array.of(temperature, topP, minP);
  return { temperature: f32Temperature!, topK, topP: f32TopP!, minP: f32MinP!, u };
}

/** The drawn ids: draws of one length are the rows of one dispatch, run `nRuns` times, which must come out the same. */
async function draw(options: DeviceOptions, draws: readonly Draw[], nRuns = 3): Promise<number[]> {
  const device = await testDevice(options);
  const ids: number[] = [];
  for (const nVocab of new Set(draws.map(({ logits }) => logits.length))) {
    const rows = draws.filter(({ logits }) => logits.length === nVocab);
    const nRows = rows.length;
    const logits = upload(device, new Float32Array(nRows * rowStride(nVocab)));
    for (const [row, draw] of rows.entries())
      device.write(logits.buffer, row * rowStride(nVocab) * 4, bytesOf(draw.logits));
    const sampling = upload(device, new Float32Array(rows.flatMap(({ values }) => samplingRow(values))));
    const sampled = upload(device, new Uint32Array(nRows));
    const tokens = upload(device, new Uint32Array(nRows));
    const record = (rec: Recorder) => sample(rec, { logits, sampling, sampled, tokens, nRows, nVocab, stage: 0 });
    const runs: Uint32Array[] = [];
    for (let run = 0; run < nRuns; run += 3) {
      for (const picked of await runThrice(device, record, sampled, nRows)) runs.push(new Uint32Array(picked.buffer));
    }
    runs.push(new Uint32Array(await readBuffer(device, tokens.buffer, 0, nRows * 4)));
    for (let row = 0; row < nRows; row++) {
      const ofRow = new Set(runs.map((run) => run[row]!));
      expect(ofRow.size, `row ${row}: ids of its runs, for the host and the next step: ${[...ofRow]}`).toBe(1);
      ids.push(...ofRow);
    }
    for (const view of [logits, sampling, sampled, tokens]) device.buffers.destroy(view.buffer);
  }
  return ids;
}

function samplingRow({ temperature, topK, topP, minP, u }: SamplingValues): number[] {
  const row = new Array<number>(SAMPLING_VALUES).fill(0);
  row.splice(0, 5, temperature, topK, topP, minP, u);
  return row;
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
