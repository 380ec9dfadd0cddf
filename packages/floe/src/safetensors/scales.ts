/** Where the scale of an F8_E4M3 weight stands: tensors of their own, by which a weight is multiplied. */
import { invalid, quote, unsupportedType } from './fail.ts';
import type { PlacedTensor } from './shards.ts';

/** Behind a module's name. DeepSeek's "inverse" is one of the way there: weights are multiplied by it too. */
export const SCALE_SUFFIXES = ['weight_scale', 'weight_scale_inv'] as const;
/** Of activations, keys and values, which Floe does not quantize by them. */
export const UNUSED_SUFFIXES = [
  'input_scale',
  'input_scale_ub',
  'k_scale',
  'v_scale',
  'q_scale',
  'prob_scale',
] as const;

const BLOCK = 128;

/** One scale for each block [rows, elements] of a matrix; a tensor's only one is of all its rows. */
export interface Scales {
  readonly tensor: PlacedTensor;
  readonly rows: number;
  readonly elements: number;
  /** Blocks beside each other. */
  readonly nColumns: number;
}

/** Which weights each scale is of, by its shape: one for all, one for a row, or one for a block. */
export function scalesOf(weight: PlacedTensor, scale: PlacedTensor, block: readonly [number, number]): Scales {
  if (!['F32', 'F16', 'BF16'].includes(scale.dtype)) {
    throw unsupportedType(`${quote(scale.name)} holds scales of the dtype ${scale.dtype}.`, {
      tensor: scale.name,
      dtype: scale.dtype,
    });
  }
  const [nRows, rowElements] = weight.shape as [number, number];
  const [first = 1, second = 1, ...more] = scale.shape;
  const nColumns = Math.ceil(rowElements / block[1]);
  if (more.length === 0 && first * second === 1)
    return { tensor: scale, rows: nRows, elements: rowElements, nColumns: 1 };
  if (more.length === 0 && first === nRows && second === 1) {
    return { tensor: scale, rows: 1, elements: rowElements, nColumns: 1 };
  }
  if (more.length === 0 && first === Math.ceil(nRows / block[0]) && second === nColumns) {
    return { tensor: scale, rows: block[0], elements: block[1], nColumns };
  }
  throw invalid(
    `${quote(scale.name)} is [${scale.shape}]; for ${quote(weight.name)} [${weight.shape}] that is no scale for all, for a row or for a block of ${block.join(' × ')}.`,
    { tensor: scale.name, shape: [...scale.shape], of: [...weight.shape] },
  );
}

/** A block's rows and elements, as a configuration has them under a key of its own; 128 × 128 where it says nothing. */
export function checkBlock(block: readonly number[]): readonly [number, number] {
  const [rows = 0, elements = 0, ...more] = block;
  if (rows > 0 && elements > 0 && elements % BLOCK === 0 && more.length === 0) return [rows, elements];
  throw unsupportedType(`A scale is of ${block.join(' × ')} weights; Floe runs multiples of ${BLOCK} in a row.`, {
    block: [...block],
  });
}

export const DEFAULT_BLOCK = [BLOCK, BLOCK] as const;
