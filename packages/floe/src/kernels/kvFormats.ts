import loadF16 from '#shaders/parts/kv_load_f16.wgsl';
import loadF32 from '#shaders/parts/kv_load_f32.wgsl';
import loadQ8_0 from '#shaders/parts/kv_load_q8_0.wgsl';
import storeF16 from '#shaders/parts/kv_store_f16.wgsl';
import storeF32 from '#shaders/parts/kv_store_f32.wgsl';
import storeQ8_0 from '#shaders/parts/kv_store_q8_0.wgsl';
import type { BufferView, ShaderPart } from '../gpu/index.ts';

/** How keys and values are kept. */
export type KvFormatName = 'F32' | 'F16' | 'Q8_0';

export interface KvFormat {
  /** Of four values. */
  readonly wordBytes: number;
  /** Whether 32 dimensions of a key and of its value share a word of scales. */
  readonly hasScales: boolean;
  readonly load: ShaderPart;
  readonly store: ShaderPart;
}

/** Every format of the cache; adding one is its two parts of WGSL and a row here. */
export const kvFormats: Readonly<Record<KvFormatName, KvFormat>> = {
  F32: { wordBytes: 16, hasScales: false, load: loadF32, store: storeF32 },
  F16: { wordBytes: 8, hasScales: false, load: loadF16, store: storeF16 },
  Q8_0: { wordBytes: 4, hasScales: true, load: loadQ8_0, store: storeQ8_0 },
};

/** Positions of a block of the cache, the unit that conversations own and share. KV_BLOCK in shaders/parts/kvPlace.wgsl. */
export const KV_BLOCK = 32;

/** The heads of a layer. Query head h reads kv head floor(h · nKvHeads / nHeads). */
export interface AttentionShape {
  readonly nHeads: number;
  readonly nKvHeads: number;
  /** Of queries and keys; a multiple of 4, at most 256. */
  readonly headDim: number;
  /** Of values; a multiple of 4, at most 256. */
  readonly valueDim: number;
}

/** Bytes of one block of one layer: [nKvHeads] times keys [headDim / 4][32], values [32][valueDim / 4], scales [groups][32]. */
export function kvBlockBytes(format: KvFormatName, shape: Omit<AttentionShape, 'nHeads'>): number {
  const { wordBytes, hasScales } = kvFormats[format];
  const { nKvHeads, headDim, valueDim } = shape;
  const nScales = hasScales ? Math.ceil(Math.max(headDim, valueDim) / 32) : 0;
  return nKvHeads * KV_BLOCK * (headDim / 4 + valueDim / 4 + nScales) * wordBytes;
}

/** One layer's cache, and where in it a step's tokens are. */
export interface KvView {
  readonly format: KvFormatName;
  /** The layer's blocks, all conversations'. */
  readonly kv: BufferView;
  /** [T] (position, row of `blockTable`) of each token. */
  readonly places: BufferView;
  /** [rows, tableBlocks] the block of each stretch of 32 positions: the first `fixedBlocks` stay, behind them is a ring. */
  readonly blockTable: BufferView;
  readonly fixedBlocks: number;
  readonly tableBlocks: number;
}
