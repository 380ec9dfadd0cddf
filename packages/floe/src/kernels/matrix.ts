import unpackBf16 from '#shaders/parts/unpack_bf16.wgsl';
import unpackF16 from '#shaders/parts/unpack_f16.wgsl';
import unpackF32 from '#shaders/parts/unpack_f32.wgsl';
import unpackQ4_0 from '#shaders/parts/unpack_q4_0.wgsl';
import unpackQ8_0 from '#shaders/parts/unpack_q8_0.wgsl';
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
};
