import unpackBf16 from '#shaders/parts/unpack_bf16.wgsl';
import unpackF8_e4m3 from '#shaders/parts/unpack_f8_e4m3.wgsl';
import unpackF16 from '#shaders/parts/unpack_f16.wgsl';
import unpackF32 from '#shaders/parts/unpack_f32.wgsl';
import unpackIq4_nl from '#shaders/parts/unpack_iq4_nl.wgsl';
import unpackIq4_xs from '#shaders/parts/unpack_iq4_xs.wgsl';
import unpackMxfp4 from '#shaders/parts/unpack_mxfp4.wgsl';
import unpackQ2_k from '#shaders/parts/unpack_q2_k.wgsl';
import unpackQ3_k from '#shaders/parts/unpack_q3_k.wgsl';
import unpackQ4_0 from '#shaders/parts/unpack_q4_0.wgsl';
import unpackQ4_1 from '#shaders/parts/unpack_q4_1.wgsl';
import unpackQ4_k from '#shaders/parts/unpack_q4_k.wgsl';
import unpackQ5_0 from '#shaders/parts/unpack_q5_0.wgsl';
import unpackQ5_1 from '#shaders/parts/unpack_q5_1.wgsl';
import unpackQ5_k from '#shaders/parts/unpack_q5_k.wgsl';
import unpackQ6_k from '#shaders/parts/unpack_q6_k.wgsl';
import unpackQ8_0 from '#shaders/parts/unpack_q8_0.wgsl';
import unpackTq2_0 from '#shaders/parts/unpack_tq2_0.wgsl';
import type { BufferView, ShaderPart } from '../gpu/index.ts';
import type { FormatName } from '../quant/index.ts';

/** A matrix [nRows, rowElements] that lies packed in a GPU buffer, alone or at an offset in each slot of a pool. */
export interface Matrix {
  readonly format: FormatName;
  readonly nRows: number;
  readonly rowElements: number;
  /** Bytes from the start of the record. */
  readonly mainOffset: number;
  readonly sideOffset: number;
}

/** A matrix whose record is bound as a whole. */
export interface DenseMatrix extends Matrix {
  readonly record: BufferView;
  /** Some of its rows each, in order, where the device can't bind them all; `record` is the first one's then. */
  readonly pieces?: readonly DenseMatrix[];
}

/** A matrix that each expert has, at the same place in its slot. */
export interface ExpertMatrix extends Matrix {
  readonly pools: readonly ExpertPool[];
  /** Bytes of a slot. */
  readonly slotBytes: number;
}

/** A buffer of slots [firstSlot, firstSlot + nSlots). */
export interface ExpertPool {
  readonly view: BufferView;
  readonly firstSlot: number;
  readonly nSlots: number;
}

/** The WGSL that unpacks each format: one row here for one in quant/formats.ts, and a test that none is missing. */
export const unpackParts: Readonly<Record<FormatName, ShaderPart>> = {
  F32: unpackF32,
  F16: unpackF16,
  BF16: unpackBf16,
  Q8_0: unpackQ8_0,
  Q4_0: unpackQ4_0,
  MXFP4: unpackMxfp4,
  IQ4_XS: unpackIq4_xs,
  IQ4_NL: unpackIq4_nl,
  Q6_K: unpackQ6_k,
  Q5_K: unpackQ5_k,
  Q4_K: unpackQ4_k,
  Q3_K: unpackQ3_k,
  Q2_K: unpackQ2_k,
  Q5_1: unpackQ5_1,
  Q5_0: unpackQ5_0,
  Q4_1: unpackQ4_1,
  F8_E4M3: unpackF8_e4m3,
  TQ2_0: unpackTq2_0,
};
