/** Every model family against llama.cpp, an engine we did not write, on the same random files. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agreement, floeAnswers, floeGreedy } from '@floe/testkit/floeAnswers';
import { writeGguf } from '@floe/testkit/ggufWriter';
import { testGpu } from '@floe/testkit/nodeGpu';
import { openOracle } from '@floe/testkit/oracle';
import { type RandomModelOptions, randomGguf, randomModel } from '@floe/testkit/randomModel';
import { readmePath, readmeWith } from '@floe/testkit/readme';
import { seeded } from '@floe/testkit/seeded';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Device, openDevice } from '../gpu/index.ts';
import { familyCases, ropeCases } from './families.testing.ts';

let device: Device;
beforeAll(async () => {
  device = await openDevice(testGpu());
});

const folder = mkdtempSync(join(tmpdir(), 'floe-families-'));
const random = seeded('families');
const prompts = [1, 2].map(() => Array.from({ length: 40 }, () => random.int(0, 299)));

/** A route this close is a near tie: f32 sums in another order may choose another expert. */
const NEAR_TIE = 1e-2;

const compare = (options: RandomModelOptions) => compareFile(randomModel(options));

async function compareFile(bytes: Uint8Array) {
  const path = join(folder, 'model.gguf');
  writeFileSync(path, bytes);
  const oracle = await openOracle(path);
  const theirs: Float64Array[] = [];
  for (const ids of prompts) theirs.push(...(await oracle.logprobs(ids)));
  await oracle.close();
  const answers = await floeAnswers(device, bytes, prompts);
  const margins = answers.flatMap((answer) => answer.margins);
  const ours = answers.flatMap((answer) => answer.logprobs);
  const clear = <T>(rows: readonly T[]) => rows.filter((_, position) => margins[position]! > NEAR_TIE);
  return { ...agreement(clear(ours), clear(theirs)), share: clear(ours).length / ours.length };
}

/** Cases that passed, by what was checked. */
const passed = { F32: new Set<string>(), Q8_0: new Set<string>(), rope: new Set<string>() };

describe.each(familyCases)('$name agrees with llama.cpp', ({ name, options }) => {
  it('F32: log-probabilities within 5e-3, every top-1', async () => {
    const found = await compare({ ...options, type: 'F32' });
    expect(found.share).toBeGreaterThanOrEqual(0.98);
    expect(found.maxError).toBeLessThan(5e-3);
    expect(found.top1).toBe(1);
    passed.F32.add(name);
  });

  it('Q8_0: mean KL below 2e-3, top-1 in 97%', async () => {
    const found = await compare({ ...options, type: 'Q8_0' });
    expect(found.share).toBeGreaterThanOrEqual(0.98);
    expect(found.meanKl).toBeLessThan(2e-3);
    expect(found.top1).toBeGreaterThanOrEqual(0.97);
    passed.Q8_0.add(name);
  });
});

it.each(ropeCases)(
  'rope scaling $name, beyond the original context: log-probabilities within 5e-3',
  async ({ name, options }) => {
    const found = await compare({ ...options, type: 'F32' });
    expect(found.share).toBeGreaterThanOrEqual(0.98);
    expect(found.maxError).toBeLessThan(5e-3);
    expect(found.top1).toBe(1);
    passed.rope.add(name);
  },
);

it('rope scaling longrope, as Phi-3 is converted: with its factors, and without its name', async () => {
  const { options } = ropeCases.find(({ name }) => name === 'longrope')!;
  const { metadata, tensors } = randomGguf({ ...options, type: 'F32' });
  const { 'phi3.rope.scaling.type': name, ...unnamed } = metadata;
  expect(name).toBe('longrope');
  const found = await compareFile(writeGguf({ metadata: unnamed, tensors }));
  expect(found.maxError).toBeLessThan(5e-3);
  expect(found.top1).toBe(1);
});

// Those whose layers are of several kinds, or whose experts need more than matrices.
it.each(familyCases.filter(({ options }) => ['deepseek2', 'gpt-oss', 'qwen2moe'].includes(options.architecture)))(
  '$name decodes, with as few experts on the GPU as work, what its prompts say',
  async ({ options }) => {
    const bytes = randomModel({ ...options, type: 'F32' });
    const ids = prompts[0]!.slice(0, 20);
    const picked = await floeGreedy(device, bytes, ids, 8);
    const [answer] = await floeAnswers(device, bytes, [[...ids, ...picked]]);
    const likeliest = answer!.logprobs.map((row) => row.indexOf(Math.max(...row)));
    expect(picked).toEqual(likeliest.slice(ids.length - 1, -1));
  },
);

it.each([
  { what: 'in one format', types: {} },
  { what: 'gate and up in two', types: { 'blk.0.ffn_up_exps': 'F16' } as const },
])(
  "Mixtral's first files, with a tensor for each expert, give the same bits as merged ones: $what",
  async ({ types }) => {
    const { options } = familyCases.find(({ name }) => name === 'llama (Mixtral)')!;
    const of = (expertsApart: boolean) =>
      floeAnswers(device, randomModel({ ...options, type: 'Q8_0', types, expertsApart }), prompts);
    expect(await of(true)).toEqual(await of(false));
  },
);

/** The README's tables, between two comments. `pnpm unit packages/floe/src/generate/families.test.ts -u` writes them. */
it('the README has a row for each family that was checked above, and no other', async () => {
  const table = [
    '| architecture | models | F32: log-probabilities within 5e-3 | Q8_0: mean KL < 2e-3, top-1 ≥ 97% but for near ties |',
    '|---|---|---|---|',
    ...familyCases.map(({ name, models }) => {
      const [f32, q8] = [passed.F32, passed.Q8_0].map((names) => (names.has(name) ? 'yes' : 'no'));
      return `| ${name} | ${models} | ${f32} | ${q8} |`;
    }),
    '',
    `RoPE scaling beyond the original context, F32, log-probabilities within 5e-3: ${[...passed.rope].join(', ')}.`,
  ];
  await expect(readmeWith('families', table)).toMatchFileSnapshot(readmePath);
});
