import { InternalError } from '../errors/index.ts';
import { KV_BLOCK } from '../kernels/index.ts';
import type { KvBlocks } from './blocks.ts';
import { entryOf, type KvGeometry, type KvWindow, kvGeometry } from './geometry.ts';

/** Bytes to be copied in every layer before a step writes. */
export interface KvCopy {
  readonly from: number;
  readonly to: number;
}

/** What a step of a conversation needs of the cache. */
export interface KvStep {
  /** Position of its first token. */
  readonly first: number;
  /** The conversation's row of the block table as this step must see it; the same array while nothing changed. */
  readonly table: Uint32Array<ArrayBuffer>;
  readonly copies: readonly KvCopy[];
}

/** A block that holds a stretch of 32 positions from `position` on. */
export interface HeldBlock {
  readonly position: number;
  readonly block: number;
}

const NONE = -1;

/**
 * Where one conversation's keys and values lie. Decides; never touches the GPU.
 *  1. The keys that the next token sees are held, each by the block its table names.
 *  2. A step writes only to blocks that this conversation holds alone.
 *  3. What a step no longer wants is let go by `settle`, when all of its layers are submitted: a prompt goes layer by
 *     layer, and its first chunk's later layers still read what its last chunk's first layer had replaced.
 */
export class KvSequence {
  private readonly geometry: KvGeometry;
  /** Of each entry of the table: which stretch of positions it holds. */
  private readonly held: Int32Array;
  private table: Uint32Array<ArrayBuffer>;
  private readonly dropped: number[] = [];
  private end = 0;

  constructor(
    private readonly blocks: KvBlocks,
    readonly window: KvWindow,
  ) {
    this.geometry = kvGeometry(window);
    this.held = new Int32Array(this.geometry.tableBlocks).fill(NONE);
    this.table = new Uint32Array(this.geometry.tableBlocks);
  }

  /** Positions so far; the next token's position. */
  get length(): number {
    return this.end;
  }

  /**
   * Makes room for the next `nTokens` positions, at most the window's `chunkTokens`; nothing changes where it throws.
   * @throws {ContextError} `context/kv-full`
   */
  extend(nTokens: number): KvStep {
    const first = this.end;
    if (nTokens < 1 || nTokens > this.window.chunkTokens) throw new InternalError(`a step of ${nTokens} tokens`);
    const stretches = rangeOf(stretchOf(first), stretchOf(first + nTokens - 1) + 1);
    const fresh = stretches.filter((stretch) => !this.isMine(stretch));
    this.blocks.require(fresh.length);
    const table = fresh.length > 0 ? this.table.slice() : this.table;
    const copies: KvCopy[] = [];
    for (const stretch of stretches) {
      const entry = entryOf(this.geometry, stretch);
      if (fresh.includes(stretch)) {
        const block = this.blocks.take();
        // Half of it is another conversation's too.
        if (this.held[entry] === stretch) copies.push({ from: table[entry]!, to: block });
        if (this.held[entry] !== NONE) this.dropped.push(table[entry]!);
        table[entry] = block;
      }
      this.held[entry] = stretch;
    }
    this.table = table;
    this.end = first + nTokens;
    return { first, table, copies };
  }

  /** Whether a stretch can be written to in the block its entry names, which may hold an older one that is out of sight. */
  private isMine(stretch: number): boolean {
    const entry = entryOf(this.geometry, stretch);
    return this.held[entry] !== NONE && !this.blocks.isShared(this.table[entry]!);
  }

  /** Lets go of what steps replaced: when they are submitted, in all their layers. */
  settle(): void {
    for (const block of this.dropped.splice(0)) this.blocks.release(block);
  }

  /** Whether the keys that a token at `length` sees are still held. */
  canRewind(length: number): boolean {
    if (length < 0 || length > this.end) return false;
    const { window, nSinks } = this.window;
    const recents = length < window ? 0 : length + 1 - (window - nSinks);
    const sinks = rangeOf(0, stretchOf(Math.min(nSinks, length) - 1) + 1);
    const stretches = [...sinks, ...rangeOf(stretchOf(recents), stretchOf(length - 1) + 1)];
    return stretches.every((stretch) => this.held[entryOf(this.geometry, stretch)] === stretch);
  }

  /** Forgets what comes after the first `length` positions, which `canRewind` must allow. */
  rewind(length: number): void {
    if (!this.canRewind(length)) throw new InternalError(`position ${length} of ${this.end} is out of the window`);
    this.settle();
    for (const [entry, stretch] of this.held.entries()) {
      if (stretch === NONE || stretch * KV_BLOCK < length) continue;
      this.blocks.release(this.table[entry]!);
      this.held[entry] = NONE;
    }
    this.end = length;
  }

  /** Another conversation that begins with the first `length` positions of this one, and shares their blocks. */
  fork(length = this.end): KvSequence {
    if (!this.canRewind(length)) throw new InternalError(`position ${length} of ${this.end} is out of the window`);
    const other = new KvSequence(this.blocks, this.window);
    for (const [entry, stretch] of this.held.entries()) {
      if (stretch === NONE || stretch * KV_BLOCK >= length) continue;
      this.blocks.share(this.table[entry]!);
      other.held[entry] = stretch;
      other.table[entry] = this.table[entry]!;
    }
    other.end = length;
    return other;
  }

  /** The blocks that are held, in the order of their positions: what is saved of a conversation. */
  heldBlocks(): HeldBlock[] {
    const list = Array.from(this.held.entries(), ([entry, stretch]) => ({ stretch, block: this.table[entry]! }));
    return list
      .filter(({ stretch }) => stretch !== NONE)
      .sort((a, b) => a.stretch - b.stretch)
      .map(({ stretch, block }) => ({ position: stretch * KV_BLOCK, block }));
  }

  /**
   * A conversation of `length` positions whose blocks were saved at `positions`; `heldBlocks` says where their bytes go.
   * @throws {ContextError} `context/kv-full`
   */
  static resume(blocks: KvBlocks, window: KvWindow, length: number, positions: readonly number[]): KvSequence {
    const made = new KvSequence(blocks, window);
    blocks.require(positions.length);
    for (const position of positions) {
      const entry = entryOf(made.geometry, stretchOf(position));
      made.held[entry] = stretchOf(position);
      made.table[entry] = blocks.take();
    }
    made.end = length;
    return made;
  }

  /** Lets go of everything. */
  release(): void {
    this.rewind(0);
  }
}

function stretchOf(position: number): number {
  return Math.floor(position / KV_BLOCK);
}

function rangeOf(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}
