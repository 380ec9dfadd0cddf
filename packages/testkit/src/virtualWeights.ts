/** Random weights without end: tiles of a tensor, each copied from a pool of blocks at a place its number decides. */
import { numberToHalf } from '../../floe/src/quant/index.ts';
import { type Seeded, seeded } from './seeded.ts';

/** What weights are drawn from: normal of mean 0, or uniform. */
export type Kind =
  | { readonly type: 'Q4_0' | 'F32'; readonly deviation: number }
  | { readonly type: 'F32'; readonly min: number; readonly max: number };

/** A tensor is laid with tiles of so many blocks (weights, where it is F32), each a window of the pool of its kind. */
const TILE_BLOCKS = 1024;
/** 1.2 MB at Q4_0, which stays in a processor's cache while gigabytes are copied out of it. */
const POOL_BLOCKS = 65_536;

/** Blocks of one kind, end to end. */
export interface Pool {
  readonly bytes: Uint8Array;
  readonly blockBytes: number;
}

/** The pools by what is drawn: made when first asked for, kept. Those of Q4_0 share their quants. */
export function makePools(seed: number): (kind: Kind) => Pool {
  const random = seeded(`virtual model ${seed}`);
  const pools = new Map<string, Pool>();
  let quants: Uint8Array | null = null;
  return (kind) => {
    const key = Object.values(kind).join();
    const known = pools.get(key);
    if (known) return known;
    quants ??= random.fork('quants').bytes(16 * POOL_BLOCKS);
    const source = random.fork(key);
    const pool = kind.type === 'Q4_0' ? q4Pool(source, kind.deviation, quants) : f32Pool(source, kind);
    pools.set(key, pool);
    return pool;
  };
}

/** Random quants under scales of both signs, since quants from -8 to 7 have a mean of -1/2 that would add up. */
function q4Pool(random: Seeded, deviation: number, quants: Uint8Array): Pool {
  const bytes = new Uint8Array(18 * POOL_BLOCKS);
  const view = new DataView(bytes.buffer);
  // Of the quants -8 to 7, all as likely, the root of the mean square; that of scales from 1/2 to 3/2 is 1.04.
  const unit = deviation / (Math.sqrt(21.5) * Math.sqrt(13 / 12));
  for (let block = 0; block < POOL_BLOCKS; block++) {
    const sign = random.uniform() < 0.5 ? -1 : 1;
    view.setUint16(18 * block, numberToHalf(sign * unit * (0.5 + random.uniform())), true);
    bytes.set(quants.subarray(16 * block, 16 * block + 16), 18 * block + 2);
  }
  return { bytes, blockBytes: 18 };
}

function f32Pool(random: Seeded, kind: Kind): Pool {
  const values =
    'deviation' in kind
      ? random.normals(POOL_BLOCKS, kind.deviation)
      : random.uniforms(POOL_BLOCKS, kind.min, kind.max);
  return { bytes: new Uint8Array(values.buffer), blockBytes: 4 };
}

/** Where a tensor lies, in bytes from the start of the file. */
export interface Extent {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** Writes what `tensor` has of the range at `offset` of the file that `bytes` is. */
export function fillTiles(bytes: Uint8Array, offset: number, tensor: Extent, pool: Pool, seed: number): void {
  const tileBytes = TILE_BLOCKS * pool.blockBytes;
  const end = Math.min(offset + bytes.length, tensor.offset + tensor.sizeBytes);
  for (let at = Math.max(offset, tensor.offset); at < end; ) {
    // By division and remainder, not by shifts: offsets pass 32 bits.
    const tile = Math.floor((at - tensor.offset) / tileBytes);
    const within = (at - tensor.offset) % tileBytes;
    const nBytes = Math.min(tileBytes - within, end - at);
    const window = pool.blockBytes * (mix(seed, tile) % (POOL_BLOCKS - TILE_BLOCKS)) + within;
    bytes.set(pool.bytes.subarray(window, window + nBytes), at - offset);
    at += nBytes;
  }
}

/** A hash of two whole numbers below 2^32, of 32 bits (the finalizer of MurmurHash3, Appleby). */
export function mix(a: number, b: number): number {
  let h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
