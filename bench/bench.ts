/** `pnpm bench [--json] [--model NAME]… [--no-models] [--no-kernels] [--no-wllama]`: how fast Floe is here, beside what this adapter can do. */
import { parseArgs } from 'node:util';
import { testData } from '@floe/testkit/data';
import { openDevice } from '../packages/floe/src/gpu/index.ts';
import { benchAttention } from './attention.ts';
import { measureCeilings } from './ceilings.ts';
import { benchKernels } from './kernels.ts';
import { benchModel } from './models.ts';
import { nodeGpu } from './nodeGpu.ts';
import { atLeast, type Check, print, type Row } from './report.ts';
import { compareWithWllama } from './wllama.ts';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    'no-wllama': { type: 'boolean', default: false },
    'no-kernels': { type: 'boolean', default: false },
    'no-models': { type: 'boolean', default: false },
    model: { type: 'string', multiple: true, default: ['arctic-tiny-sql-q8_0.gguf', 'arctic-mini-sql-q4_0.gguf'] },
  },
});

/** Says what goes on, beside the result. */
const say = (what: string) => console.error(`… ${what}`);

const gpu = await nodeGpu();
const device = await openDevice(gpu);
const other = await openDevice(gpu, { family: device.family === 'thread' ? 'cooperative' : 'thread' });
say('ceilings');
const ceilings = await measureCeilings(device);
const rows: Row[] = [];
const checks: Check[] = [];

if (!options['no-models']) {
  for (const name of options.model) {
    const path = testData(name);
    say(name);
    if (path) rows.push(...(await benchModel(device, path)));
  }
}
if (!options['no-kernels']) {
  say('kernels');
  const kernels = await benchKernels([device, other], ceilings);
  rows.push(...kernels);
  say('attention');
  rows.push(...(await benchAttention([device, other], ceilings)));
  const ratio = (name: string, column: string) =>
    Number(kernels.find((row) => row.name === name && row.family === device.family)?.[column] ?? Number.NaN);
  checks.push(
    atLeast('matvec Q8_0, share of the read ceiling', ratio('matvec Q8_0', 'ofRead'), 0.35),
    atLeast('matvec Q4_0, share of the read ceiling', ratio('matvec Q4_0', 'ofRead'), 0.2),
    atLeast('matmul Q8_0, share of the f32 ceiling', ratio('matmul Q8_0', 'ofFma'), 0.25),
    atLeast('matmul Q4_0, share of the f32 ceiling', ratio('matmul Q4_0', 'ofFma'), 0.25),
  );
}

if (!options['no-wllama']) {
  say('wllama');
  const { rows: engines, ratio } = await compareWithWllama(
    testData('arctic-tiny-sql-q8_0.gguf')!,
    testData('eval.jsonl')!,
  );
  rows.push(...engines);
  checks.push(
    atLeast('decode speed, floe by wllama', ratio.decode, 0.5),
    atLeast('prefill speed, floe by wllama', ratio.prefill, 0.5),
  );
}

const report = { adapter: device.adapter.description, ceilings: ceilings.shown, rows, checks };
if (options.json) console.log(JSON.stringify(report));
else print(report);
// Dawn keeps the process alive while its device's callbacks are pending.
const failed = checks.some(({ ok }) => !ok);
process.stdout.write('', () => process.exit(failed ? 1 : 0));
