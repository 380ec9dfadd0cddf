/** `pnpm eval --model MODEL.gguf --set FILE.jsonl [--limit N] [--json]`: exact-match accuracy with greedy decoding. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { loadModel } from 'floe/node';
import { type EvalAnswer, evaluate, readSet } from './evaluate.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    set: { type: 'string' },
    limit: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
if (!values.model || !values.set) {
  console.error('pnpm eval --model MODEL.gguf --set FILE.jsonl [--limit N] [--json]');
  process.exit(1);
}

const interrupt = new AbortController();
process.once('SIGINT', () => interrupt.abort());
const watched = process.stderr.isTTY && !values.json;
const items = readSet(readFileSync(values.set, 'utf8')).slice(0, values.limit ? Number(values.limit) : undefined);

const startMs = performance.now();
const model = await loadModel({ path: values.model }, { signal: interrupt.signal });
try {
  let n = 0;
  const onAnswer = ({ item, answer }: EvalAnswer): void => {
    n++;
    if (watched) process.stderr.write(`\r\x1b[K${n} of ${items.length}`);
    if (values.json || answer === item.expected.trim()) return;
    if (watched) process.stderr.write('\r\x1b[K');
    console.log(`- ${item.expected}\n+ ${answer}`);
  };
  const result = await evaluate(model, items, { signal: interrupt.signal, onAnswer });
  if (watched) process.stderr.write('\r\x1b[K');
  const seconds = Number(((performance.now() - startMs) / 1000).toFixed(1));
  const { quantization } = model.info;
  console.log(JSON.stringify({ ...result, model: basename(values.model), quantization, seconds }));
} finally {
  await model.unload();
}
// Dawn keeps the process alive while its device's callbacks are pending.
process.stdout.write('', () => process.exit(0));
