/** The tensor list: names, shapes, types, and the chain of offsets that leaves no byte to two tensors. */
import { GgufError } from '../errors/index.ts';
import { formatByGgmlType, formats, ggmlTypes, type QuantFormat } from '../quant/index.ts';
import type { Cursor } from './cursor.ts';
import { invalid, quote } from './fail.ts';
import { limits } from './limits.ts';

export interface TensorInfo {
  readonly name: string;
  /** Its type's number in the file. */
  readonly ggmlType: number;
  /** As ggml spells its type. */
  readonly typeName: string;
  /** Null where Floe has no row for its type, which only `onUnsupportedType: 'keep'` lets through. */
  readonly format: QuantFormat | null;
  /** Row-major: the last is the length of a row. GGUF lists them the other way round, as `ne`. */
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly sizeBytes: number;
  readonly nElements: number;
}

/** What to do with a tensor whose type ggml has and Floe has not. */
export type OnUnsupportedType = 'throw' | 'keep';

/** As listed: `offset` counts from the data section, which starts behind the list. */
export type ListedTensor = TensorInfo & { readonly listedAt: number; readonly relativeOffset: bigint };

/** One entry of the list. */
export function readTensor(cursor: Cursor, index: number, onUnsupportedType: OnUnsupportedType): ListedTensor {
  const listedAt = cursor.at;
  const name = cursor.identifier(`the name of tensor ${index}`, limits.nameBytes);
  const what = `tensor ${quote(name)}`;
  const ne = readDims(cursor, what, name);
  const { ggmlType, typeName, format, blockElements, blockBytes } = readType(cursor, what, name, onUnsupportedType);
  const rowElements = ne[0]!;
  if (rowElements % blockElements !== 0) {
    throw invalid(
      `${what} is ${typeName} with rows of ${rowElements} weights; a row must be whole blocks of ${blockElements}.`,
      { tensor: name, typeName, rowElements, blockElements, offset: listedAt },
    );
  }
  const nElements = product(ne, what, name, listedAt);
  const sizeBytes = (BigInt(nElements) / BigInt(blockElements)) * BigInt(blockBytes);
  if (sizeBytes > BigInt(cursor.fileSize)) throw behindEnd(name, sizeBytes, cursor.fileSize);
  const relativeOffset = cursor.u64(`the offset of ${what}`);
  // A little more than an object, a shape and a map entry take.
  cursor.budget.spend(400);
  return {
    name,
    ggmlType,
    typeName,
    format,
    shape: Object.freeze(ne.reverse()),
    offset: 0,
    sizeBytes: Number(sizeBytes),
    nElements,
    listedAt,
    relativeOffset,
  };
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
  const known = ggmlTypes.get(ggmlType);
  const format = formatByGgmlType(ggmlType) ?? null;
  // Without a block size nothing can be said about this tensor or any behind it, so there is nothing to keep.
  if (!known || (!format && onUnsupportedType === 'throw')) {
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
  return { ggmlType, typeName: known.name, format, blockElements: known.blockElements, blockBytes: known.blockBytes };
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
  return listed.map(({ listedAt, relativeOffset, ...tensor }) => {
    const expected = alignUp(end, alignment);
    if (relativeOffset !== BigInt(expected)) {
      throw invalid(
        `Tensor ${quote(tensor.name)}, listed at byte ${listedAt}, says it starts at ${relativeOffset} of the data; the one before ends so that it must be ${expected}.`,
        { tensor: tensor.name, offset: listedAt, found: String(relativeOffset), expected },
      );
    }
    end = expected + tensor.sizeBytes;
    const offset = dataOffset + expected;
    if (dataOffset + end > fileSize) throw behindEnd(tensor.name, BigInt(dataOffset + end), fileSize);
    return Object.freeze({ ...tensor, offset });
  });
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
