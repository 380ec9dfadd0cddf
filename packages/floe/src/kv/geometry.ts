import { KV_BLOCK, type KvFormatName, kvBlockBytes, type SinkWindow } from '../kernels/index.ts';
import { portionBlocks } from './portions.ts';

/** What a conversation keeps, and how much of it is written at once. */
export interface KvWindow extends SinkWindow {
  /** False: positions from `window` on are never written. */
  readonly slides: boolean;
  /** Tokens of one step at the most. */
  readonly chunkTokens: number;
}

/** Rows of the block table: the first `fixedBlocks` entries hold the sinks, the others are a ring of stretches of 32 positions. */
export interface KvGeometry {
  readonly fixedBlocks: number;
  readonly tableBlocks: number;
}

/**
 * The ring is as long as a window and a chunk behind it, wherever they begin in a block: what a step overwrites is out of
 * sight for all of its own queries, the first one too.
 */
export function kvGeometry({ window, nSinks, slides, chunkTokens }: KvWindow): KvGeometry {
  if (!slides) return { fixedBlocks: 0, tableBlocks: Math.ceil(window / KV_BLOCK) };
  const fixedBlocks = Math.ceil(nSinks / KV_BLOCK);
  return { fixedBlocks, tableBlocks: fixedBlocks + Math.ceil((window + chunkTokens - 2) / KV_BLOCK) + 1 };
}

/** Which entry of its table holds a conversation's stretch `block`, positions 32 · block and on. */
export function entryOf({ fixedBlocks, tableBlocks }: KvGeometry, block: number): number {
  return block < fixedBlocks ? block : fixedBlocks + ((block - fixedBlocks) % (tableBlocks - fixedBlocks));
}

/** The window of a layer that by its architecture sees no more than `local` keys: within them no sinks are kept. */
export function layerWindow({ window, nSinks }: SinkWindow, local: number | null): SinkWindow {
  return local !== null && local < window ? { window: local, nSinks: 0 } : { window, nSinks };
}

/** Heads and layers as the cache has them. */
export interface KvShape {
  readonly nLayers: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
}

/** Rows of the block table: conversations that are known at once, most of them short or forks of others. */
export const KV_ROWS = 32;

/**
 * Bytes of a pool for `nWindows` whole windows: their blocks in all layers, the table, and a block on its way to another
 * place.
 */
export function kvBytes(shape: KvShape, format: KvFormatName, window: KvWindow, nWindows = 1): number {
  const { tableBlocks } = kvGeometry(window);
  return (shape.nLayers * nWindows * tableBlocks + 1) * kvBlockBytes(format, shape) + KV_ROWS * tableBlocks * 4;
}

/** Bytes of the buffer that a portion of such a pool's blocks is read back by. */
export function readBackBytes(shape: KvShape, format: KvFormatName, window: KvWindow, nWindows = 1): number {
  const savedBytes = shape.nLayers * kvBlockBytes(format, shape);
  return savedBytes * Math.min(portionBlocks(savedBytes), nWindows * kvGeometry(window).tableBlocks);
}
