/** The tensor list: names, shapes, types, and the chain of offsets that leaves no byte to two tensors. */
import { GgufError } from '../errors/index.ts';
import { formatByGgmlType, formats, type GgmlType, ggmlTypes, type QuantFormat } from '../quant/index.ts';
import type { Cursor } from './cursor.ts';
import { invalid, quote } from './fail.ts';
import { limits } from './limits.ts';

export interface TensorInfo {
  readonly name: string;
  /** Its type's number in the file. */
  readonly ggmlType: number;
  /** As ggml spells its type; `type 77` where ggml has no such type that we know of. */
  readonly typeName: string;
  /** Null where Floe has no row for its type, which only `onUnsupportedType: 'keep'` lets through. */
  readonly format: QuantFormat | null;
  /** Row-major: the last is the length of a row. GGUF lists them the other way round, as `ne`. */
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** Of an unknown type: up to the next tensor or the file's end, so padding may be among them. */
  readonly sizeBytes: number;
  readonly nElements: number;
}

/** What to do with a tensor whose type Floe can't run, or has never heard of. */
export type OnUnsupportedType = 'throw' | 'keep';

/** As listed: `offset` counts from the data section, which starts behind the list. */
export type ListedTensor = Omit<TensorInfo, 'sizeBytes'> & {
  /** Null where its type's blocks are unknown. */
  readonly sizeBytes: number | null;
  readonly listedAt: number;
  readonly relativeOffset: bigint;
};

/** One entry of the list. */
export function readTensor(cursor: Cursor, index: number, onUnsupportedType: OnUnsupportedType): ListedTensor {
  const listedAt = cursor.at;
  const name = cursor.identifier(`the name of tensor ${index}`, limits.nameBytes);
  const what = `tensor ${quote(name)}`;
  const ne = readDims(cursor, what, name);
  const { ggmlType, known, format } = readType(cursor, what, name, onUnsupportedType);
  const nElements = product(ne, what, name, listedAt);
  const sizeBytes = known && sizeOf(cursor, known, name, ne[0]!, nElements, listedAt);
  const relativeOffset = cursor.u64(`the offset of ${what}`);
  // A little more than an object, a shape and a map entry take.
  cursor.budget.spend(400);
  return {
    name,
    ggmlType,
    typeName: known?.name ?? `type ${ggmlType}`,
    format,
    shape: Object.freeze(ne.reverse()),
    offset: 0,
    sizeBytes,
    nElements,
    listedAt,
    relativeOffset,
  };
}

function sizeOf(
  cursor: Cursor,
  { name: typeName, blockElements, blockBytes }: GgmlType,
  tensor: string,
  rowElements: number,
  nElements: number,
  listedAt: number,
): number {
  if (rowElements % blockElements !== 0) {
    throw invalid(
      `tensor ${quote(tensor)} is ${typeName} with rows of ${rowElements} weights; a row must be whole blocks of ${blockElements}.`,
      { tensor, typeName, rowElements, blockElements, offset: listedAt },
    );
  }
  const sizeBytes = (BigInt(nElements) / BigInt(blockElements)) * BigInt(blockBytes);
  if (sizeBytes > BigInt(cursor.fileSize)) throw behindEnd(tensor, sizeBytes, cursor.fileSize);
  return Number(sizeBytes);
}

function readDims(cursor: Cursor, what: string, name: string): number[] {
  const at = cursor.at;
  const nDims = cursor.u32(`the number of dimensions of ${what}`);
  if (nDims < 1 || nDims > limits.nDims) {
    throw invalid(`${what} at byte ${at} has ${nDims} dimensions; 1 to ${limits.nDims} are possible.`, {
      tensor: name,
      offset: at,
      nDims,
    });
  }
  return Array.from({ length: nDims }, (_, i) => {
    const dimAt = cursor.at;
    const dim = cursor.u64(`dimension ${i} of ${what}`);
    if (dim < 1n || dim > BigInt(limits.dim)) {
      throw invalid(`${what} at byte ${dimAt} has a dimension of ${dim}; 1 to 2^40 are possible.`, {
        tensor: name,
        offset: dimAt,
        dimension: i,
        found: String(dim),
      });
    }
    return Number(dim);
  });
}

function readType(cursor: Cursor, what: string, name: string, onUnsupportedType: OnUnsupportedType) {
  const at = cursor.at;
  const ggmlType = cursor.u32(`the type of ${what}`);
  const format = formatByGgmlType(ggmlType) ?? null;
  const known = ggmlTypes.get(ggmlType) ?? format;
  if (!format && onUnsupportedType === 'throw') {
    const runs = formats.map((row) => row.name).join(', ');
    throw new GgufError(
      'gguf/unsupported-type',
      `${what} at byte ${at} has the type ${known ? known.name : `${ggmlType}, which ggml does not have`}; Floe runs ${runs}.`,
      {
        remedy:
          'Take another quantization of the model, or make one: llama-quantize MODEL-F16.gguf MODEL-Q8_0.gguf Q8_0.',
        details: { tensor: name, offset: at, ggmlType, typeName: known?.name ?? null },
      },
    );
  }
  return { ggmlType, known, format };
}

function product(ne: readonly number[], what: string, name: string, at: number): number {
  const elements = ne.reduce((total, dim) => total * BigInt(dim), 1n);
  if (elements > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw invalid(`${what} at byte ${at} has ${elements} weights (${ne.join(' × ')}); below 2^53 are possible.`, {
      tensor: name,
      offset: at,
      found: String(elements),
    });
  }
  return Number(elements);
}

/**
 * Checks that tensors follow each other in file order, each at the next multiple of the alignment behind the last and
 * none behind the file's end, as ggml demands; and gives each its absolute offset.
 */
export function placeTensors(
  listed: readonly ListedTensor[],
  dataOffset: number,
  alignment: number,
  fileSize: number,
): TensorInfo[] {
  let end = 0;
  // Behind a tensor of unknown size, which has a byte at least, any aligned place will do.
  let endIsKnown = true;
  return listed.map(({ listedAt, relativeOffset, ...tensor }, i) => {
    const expected = alignUp(end, alignment);
    const follows = endIsKnown
      ? relativeOffset === BigInt(expected)
      : relativeOffset >= BigInt(expected) && relativeOffset % BigInt(alignment) === 0n;
    if (!follows) {
      throw invalid(
        `Tensor ${quote(tensor.name)}, listed at byte ${listedAt}, says it starts at ${relativeOffset} of the data; the one before ends so that it must be ${expected}${endIsKnown ? '' : `, or more by a multiple of ${alignment}`}.`,
        { tensor: tensor.name, offset: listedAt, found: String(relativeOffset), expected },
      );
    }
    const at = BigInt(dataOffset) + relativeOffset;
    if (at >= BigInt(fileSize)) throw behindEnd(tensor.name, at + BigInt(tensor.sizeBytes ?? 1), fileSize);
    const start = Number(relativeOffset);
    endIsKnown = tensor.sizeBytes !== null;
    end = start + (tensor.sizeBytes ?? 1);
    if (dataOffset + end > fileSize) throw behindEnd(tensor.name, BigInt(dataOffset + end), fileSize);
    const sizeBytes = tensor.sizeBytes ?? roomOf(start, listed[i + 1]?.relativeOffset, fileSize - dataOffset);
    return Object.freeze({ ...tensor, sizeBytes, offset: dataOffset + start });
  });
}

/** Bytes from `start` to the next tensor's or to the data's end; a next one that lies elsewhere is refused in its turn. */
function roomOf(start: number, next: bigint | undefined, dataBytes: number): number {
  const end = next !== undefined && next <= BigInt(dataBytes) ? Number(next) : dataBytes;
  return Math.max(0, end - start);
}

/** The next multiple of `alignment`, by remainder: masks work on 32 bits only, and sums of them wrap. */
export function alignUp(offset: number, alignment: number): number {
  const over = offset % alignment;
  return over === 0 ? offset : offset + alignment - over;
}

function behindEnd(name: string, endBytes: bigint, fileSize: number): GgufError {
  return new GgufError(
    'gguf/out-of-bounds',
    `Tensor ${quote(name)} needs the file to reach byte ${endBytes}; it ends at byte ${fileSize}.`,
    {
      remedy: 'Its download was cut, or its header is damaged. Download it again.',
      details: { tensor: name, needBytes: String(endBytes), sizeBytes: fileSize },
    },
  );
}
