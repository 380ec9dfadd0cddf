/** Cuts a GGUF into parts, as `llama-gguf-split` does. */
import { parseHeader } from '../../floe/src/gguf/index.ts';
import { kv, number, rawGguf, text } from './rawGguf.ts';

/** `model-00002-of-00003.gguf`; parts count from 1. */
export function partName(prefix: string, part: number, nParts: number): string {
  const digits = (n: number) => String(n).padStart(5, '0');
  return `${prefix}-${digits(part)}-of-${digits(nParts)}.gguf`;
}

/**
 * The parts of `file`: `nTensors[i]` tensors in part i, which may be none. The first has the metadata; each has the keys
 * that say which part of what it is. `changes` alters those keys in one part, for parts that don't fit.
 */
export function splitGguf(
  file: Uint8Array,
  nTensors: readonly number[],
  changes: Readonly<Record<number, { readonly no?: number; readonly count?: number; readonly tensors?: number }>> = {},
): Uint8Array<ArrayBuffer>[] {
  const parsed = parseHeader(file, file.length, { onUnsupportedType: 'keep' });
  if (parsed.kind !== 'done') throw new Error('the file is cut');
  const { gguf } = parsed;
  const tensors = [...gguf.tensors.values()];
  const metadata = [...gguf.entryRanges.values()].map(([start, end]) => file.slice(start, end));
  let at = 0;
  return nTensors.map((count, part) => {
    const own = tensors.slice(at, at + count);
    at += count;
    const says = { no: part, count: nTensors.length, tensors: tensors.length, ...changes[part] };
    const bytes = rawGguf({
      version: gguf.version,
      kvs: [
        ...(part === 0 ? metadata : [kv('general.type', 'string', text('model'))]),
        kv('split.no', 'u16', number('u16', says.no)),
        kv('split.count', 'u16', number('u16', says.count)),
        kv('split.tensors.count', 'i32', number('i32', says.tensors)),
      ],
      tensors: own.map(({ name, shape, ggmlType, offset, sizeBytes }) => ({
        name,
        ne: [...shape].reverse(),
        type: ggmlType,
        data: file.subarray(offset, offset + sizeBytes),
      })),
      alignment: gguf.alignment,
    });
    return new Uint8Array(bytes);
  });
}
