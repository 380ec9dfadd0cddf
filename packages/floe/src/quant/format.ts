/**
 * A block format is one row: how a file stores it, how the GPU reads it, and what it means. Adding one is a file like
 * `q4_0.ts`, a WGSL part `unpack_*.wgsl` and a line in `formats.ts`; no kernel, store or test is touched.
 *
 * On the GPU a matrix is two planes. The *main plane* holds the quants, a whole number of 16-byte vectors for each
 * block, so that every load is an aligned vec4u; the *side plane* holds the scales, and what of the quants is left over, in
 * words. Both are row-major. A row is padded with zero weights to a whole number of blocks of at least 32, which only
 * float formats ever need.
 */
export interface QuantFormat {
  /** As ggml spells it. */
  readonly name: FormatName;
  /** Its number in a GGUF header; from `OWN_TYPES` on it is none of ggml's. */
  readonly ggmlType: number;
  readonly blockElements: number;
  readonly blockBytes: number;
  /** `shaders/parts/<part>.wgsl`, which holds `fn unpack` with the signature every format has. */
  readonly part: string;
  /** Where in a block its f16 scales are. They are finite, or packing refuses them. */
  readonly scaleOffsets: readonly number[];
  /** Bytes in the main plane for 32 weights: whole vectors for each block. */
  readonly mainBytesPer32: number;
  /** Bytes in the side plane for 32 weights, a fraction where larger blocks share some; 0 where there is no side plane. */
  readonly sideBytesPer32: number;
  /**
   * Takes one row of the file's bytes apart into its two planes. A permutation of bits: `unpackRow` is its inverse.
   * `main` and `side` are views of exactly this row's planes, zeroed.
   */
  readonly packRow: (row: Uint8Array, main: Uint8Array, side: Uint8Array) => void;
  /** The inverse of `packRow`, for tests. */
  readonly unpackRow: (main: Uint8Array, side: Uint8Array, row: Uint8Array) => void;
  /** The weights in float64, from the file's bytes: the plainest loop that is right. */
  readonly dequantize: (bytes: Uint8Array, nElements: number) => Float64Array;
}

export type FormatName =
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'Q8_0'
  | 'Q4_0'
  | 'Q4_1'
  | 'Q5_0'
  | 'Q5_1'
  | 'Q2_K'
  | 'Q3_K'
  | 'Q4_K'
  | 'Q5_K'
  | 'Q6_K'
  | 'IQ4_NL'
  | 'IQ4_XS'
  | 'MXFP4'
  | 'TQ2_0'
  | 'F8_E4M3';

/** Types from here on stand only in headers that Floe writes itself, for files that are no GGUF. */
export const OWN_TYPES = 0x464c_0000;

/** Weights that share a scale at the least; rows of weights and of activations are padded to a multiple of it. */
export const GROUP_ELEMENTS = 32;

/** `n` rounded up to a whole number of groups of 32: the stride of a row of weights or activations. */
export function rowStride(n: number): number {
  return Math.ceil(n / GROUP_ELEMENTS) * GROUP_ELEMENTS;
}

/** Bytes of a row of `rowElements` weights as the file stores it. */
export function fileRowBytes(format: QuantFormat, rowElements: number): number {
  return (rowElements / format.blockElements) * format.blockBytes;
}

/** Bytes of the two planes of an [nRows, rowElements] matrix on the GPU. */
export function planeBytes(format: QuantFormat, nRows: number, rowElements: number): { main: number; side: number } {
  const nGroups = nRows * (rowStride(rowElements) / GROUP_ELEMENTS);
  return { main: nGroups * format.mainBytesPer32, side: nGroups * format.sideBytesPer32 };
}
