/**
 * The header of a safetensors file: eight bytes that say how long it is, and a JSON object with dtype, shape and place of
 * each tensor. Their bytes follow, one tensor's behind the other's: a byte that is no tensor's, or two tensors', is refused.
 */
import { type FileFacts, invalid, quote, truncated, unsupportedType } from './fail.ts';
import { isCount, type Json, JsonReader, parseObject } from './json.ts';

export interface StoredTensor {
  readonly name: string;
  readonly dtype: string;
  /** Row-major: the last is the length of a row. */
  readonly shape: readonly number[];
  /** From the file's start. */
  readonly offset: number;
  readonly sizeBytes: number;
}

/** What a reader needs of a file. */
export interface ReadableFile extends FileFacts {
  readonly read: (offset: number, length: number, signal?: AbortSignal) => Promise<Uint8Array>;
}

/** The length before the header. */
const LENGTH_BYTES = 8;
/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
const MAX_TENSORS = 262_144;
/** Read first: holds the header of most files. */
export const FIRST_BYTES = 64 * 1024;

/** Bytes of a weight, of each dtype there is. */
const dtypeBytes: ReadonlyMap<string, number> = new Map([
  ...(['F64', 'I64', 'U64'] as const).map((dtype) => [dtype, 8] as const),
  ...(['F32', 'I32', 'U32'] as const).map((dtype) => [dtype, 4] as const),
  ...(['F16', 'BF16', 'I16', 'U16'] as const).map((dtype) => [dtype, 2] as const),
  ...(['F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'I8', 'U8', 'BOOL'] as const).map((dtype) => [dtype, 1] as const),
]);

/** The tensors of a file, in the order their bytes have. */
export async function readHeader(file: ReadableFile, signal?: AbortSignal): Promise<StoredTensor[]> {
  const first = await file.read(0, Math.min(FIRST_BYTES, file.sizeBytes), signal);
  const endBytes = headerEnd(file, first);
  if (endBytes <= first.length) return parseHeader(file, first.subarray(0, endBytes));
  const header = new Uint8Array(endBytes);
  header.set(first);
  header.set(await file.read(first.length, endBytes - first.length, signal), first.length);
  return parseHeader(file, header);
}

/** Where the header ends, from the file's first bytes. */
function headerEnd(file: FileFacts, first: Uint8Array): number {
  if (first.length < LENGTH_BYTES) throw truncated(file, 'the length of its header', LENGTH_BYTES);
  const length = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true);
  if (length < 2n || length > BigInt(MAX_HEADER_BYTES)) {
    const text = quote(String.fromCharCode(...first.subarray(0, LENGTH_BYTES)));
    throw invalid(
      `${file.name} begins with ${text}, which as the length of a header is ${length}; 2 to ${MAX_HEADER_BYTES} are possible.`,
      { file: file.name, found: String(length) },
      'This is no safetensors file; an address that answers with a web page looks so too. Check what was opened.',
    );
  }
  const end = LENGTH_BYTES + Number(length);
  if (end > file.sizeBytes) throw truncated(file, 'its header', end);
  return end;
}

/** `header` is the file up to the end of its header. */
export function parseHeader(file: FileFacts, header: Uint8Array): StoredTensor[] {
  const listed = parseObject(file.name, header.subarray(LENGTH_BYTES));
  const entries = listed.entries().filter(([name]) => name !== '__metadata__');
  if (entries.length > MAX_TENSORS) throw invalid(`${file.name} lists ${entries.length} tensors.`, { file: file.name });
  const tensors = entries.map(([name, value]) => readTensor(file, header.length, name, value));
  tensors.sort((a, b) => a.offset - b.offset);
  checkPlaces(file, header.length, tensors);
  return tensors;
}

function readTensor(file: FileFacts, dataOffset: number, name: string, value: Json): StoredTensor {
  const entry = JsonReader.of(file.name, name, value);
  const dtype = entry.string('dtype');
  const shape = entry.optionalList('shape');
  if (!shape?.every(isCount)) throw entry.wrong('shape', 'a list of whole numbers');
  const [begin, end, ...more] = entry.optionalList('data_offsets') ?? [];
  // Beyond 2^32, as whole as a count.
  const isOffset = (at: Json | undefined): at is number => Number.isSafeInteger(at) && (at as number) >= 0;
  if (!isOffset(begin) || !isOffset(end) || end < begin || more.length > 0) {
    throw entry.wrong('data_offsets', 'the first byte, and the one behind the last');
  }
  const each = dtypeBytes.get(dtype);
  if (each === undefined) {
    throw unsupportedType(`${file.name}: ${quote(name)} has the dtype ${quote(dtype)}, which Floe does not know.`, {
      file: file.name,
      tensor: name,
      dtype,
    });
  }
  const needBytes = shape.reduce((total, dim) => total * BigInt(dim), BigInt(each));
  if (needBytes !== BigInt(end - begin)) {
    throw invalid(
      `${file.name}: ${quote(name)} is ${dtype} [${shape.join(', ')}], ${needBytes} bytes; it has ${end - begin}.`,
      { file: file.name, tensor: name, needBytes: String(needBytes), sizeBytes: end - begin },
    );
  }
  return { name, dtype, shape, offset: dataOffset + begin, sizeBytes: end - begin };
}

function checkPlaces(file: FileFacts, dataOffset: number, tensors: readonly StoredTensor[]): void {
  let end = dataOffset;
  for (const { name, offset, sizeBytes } of tensors) {
    if (offset !== end) {
      const what = offset < end ? 'overlaps the tensor before it' : `leaves ${offset - end} bytes before it unused`;
      throw invalid(`${file.name}: ${quote(name)} starts at ${offset - dataOffset} of the data and ${what}.`, {
        file: file.name,
        tensor: name,
        found: offset - dataOffset,
        expected: end - dataOffset,
      });
    }
    end += sizeBytes;
  }
  if (end > file.sizeBytes) throw truncated(file, `its last tensor, ${quote(tensors.at(-1)!.name)},`, end);
  if (end < file.sizeBytes) {
    throw invalid(`${file.name} has ${file.sizeBytes - end} bytes behind its last tensor.`, {
      file: file.name,
      expected: end,
      sizeBytes: file.sizeBytes,
    });
  }
}
