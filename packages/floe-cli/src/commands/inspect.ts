import type { Inspection } from 'floe/node';
import { modelSource, parse } from '../arguments.ts';
import type { Command } from '../command.ts';
import { fetchLoad, fetchOptions, fetchUsage } from '../fetching.ts';
import { mib } from '../loading.ts';

const usage = `floe inspect MODEL.gguf [--json]: what a GGUF file says of itself

  --json    {"version", "architecture", "sizeBytes", "metadata": {…}, "tensors": [{"name", "type", "shape",
            "sizeBytes", "offset"}, …]}, every value in full
${fetchUsage}

Nothing is loaded: it also works on a vocabulary without tensors, and where Floe knows the architecture or the
quantization not. MODEL.gguf is a path, a URL or hf:OWNER/REPO/FILE.gguf;
or a folder of safetensors, as a path, a URL with a slash at its end, or hf:OWNER/REPO.
`;

/** `floe inspect`: metadata, tensors, sizes. */
export const inspect: Command = {
  name: 'inspect',
  summary: 'metadata, tensors, sizes',
  usage,
  run: async (args, { runtime, terminal }) => {
    const { values, positionals } = parse('inspect', args, ['MODEL.gguf'], {
      ...fetchOptions,
      json: { type: 'boolean' },
    });
    const found = await runtime.inspectModel(modelSource(positionals[0]!), fetchLoad(values));
    terminal.out(values.json ? `${toJson(found)}\n` : forReading(found));
  },
};

/** Metadata becomes an object; a 64-bit number beyond 2^53 becomes text, as JSON has no other exact way. */
function toJson(found: Inspection): string {
  return JSON.stringify({ ...found, metadata: Object.fromEntries(found.metadata) }, (_, value: unknown) => {
    if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    return ArrayBuffer.isView(value) ? Array.from(value as Uint8Array) : value;
  });
}

function forReading({ version, architecture, sizeBytes, metadata, tensors }: Inspection): string {
  const tensorBytes = tensors.reduce((sum, tensor) => sum + tensor.sizeBytes, 0);
  const keyWidth = Math.max(0, ...metadata.map(([key]) => key.length));
  return [
    `GGUF v${version}, architecture ${architecture || '(none)'}, ${mib(sizeBytes)} MiB`,
    '',
    ...metadata.map(([key, value]) => `${key.padEnd(keyWidth)}  ${shortened(value)}`),
    '',
    ...tensorTable(tensors),
    `${tensors.length} tensors, ${mib(tensorBytes)} MiB${byType(tensors)}`,
    '',
  ].join('\n');
}

const MAX_VALUE_LENGTH = 100;
const MAX_ITEMS = 6;

/** A value in one line: long texts are cut, long arrays show how many there are and the first few. */
function shortened(value: unknown): string {
  if (typeof value === 'string') {
    const text = JSON.stringify(value);
    return text.length <= MAX_VALUE_LENGTH ? text : `${text.slice(0, MAX_VALUE_LENGTH)}… (${value.length} characters)`;
  }
  // What fits an f32 most likely was one, which has seven digits: 0.00001, not 0.000009999999747378752.
  if (typeof value === 'number' && !Number.isInteger(value) && Math.fround(value) === value) {
    return String(Number(value.toPrecision(7)));
  }
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) return String(value);
  const items = Array.from(value as ArrayLike<unknown>);
  const first = items.slice(0, MAX_ITEMS).map(shortened).join(', ');
  return items.length <= MAX_ITEMS ? `[${first}]` : `[${first}, … ${items.length} in all]`;
}

function tensorTable(tensors: Inspection['tensors']): string[] {
  const nameWidth = Math.max(0, ...tensors.map(({ name }) => name.length));
  const shapes = tensors.map(({ shape }) => `[${shape.join(', ')}]`);
  const shapeWidth = Math.max(0, ...shapes.map((shape) => shape.length));
  return tensors.map(({ name, type, sizeBytes }, i) => {
    const size = `${(sizeBytes / 1024).toFixed(1)} KiB`.padStart(14);
    return `${name.padEnd(nameWidth)}  ${type.padEnd(8)}  ${shapes[i]!.padEnd(shapeWidth)}${size}`;
  });
}

function byType(tensors: Inspection['tensors']): string {
  const counts = new Map<string, number>();
  for (const { type } of tensors) counts.set(type, (counts.get(type) ?? 0) + 1);
  const parts = [...counts].sort((a, b) => b[1] - a[1]).map(([type, count]) => `${count} ${type}`);
  return parts.length === 0 ? '' : `: ${parts.join(', ')}`;
}
