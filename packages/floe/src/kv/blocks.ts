import { ContextError, InternalError } from '../errors/index.ts';

/**
 * Who holds the blocks of a pool. Decides; never touches the GPU.
 *  1. A block that nobody holds is free, and only a free block is handed out.
 *  2. A block is free again when the last of its holders has let go.
 */
export class KvBlocks {
  private readonly holders: Uint16Array;
  /** The next one is at the end. */
  private readonly free: number[];

  constructor(readonly nBlocks: number) {
    this.holders = new Uint16Array(nBlocks);
    this.free = Array.from({ length: nBlocks }, (_, i) => nBlocks - 1 - i);
  }

  /** How many nobody holds. */
  get nFree(): number {
    return this.free.length;
  }

  /** @throws {ContextError} `context/kv-full`: fewer than `n` blocks are free. */
  require(n: number): void {
    if (n <= this.free.length) return;
    throw new ContextError(
      'context/kv-full',
      `${n} blocks of the key-value cache are wanted; ${this.nFree} are free.`,
      {
        remedy:
          'Release a conversation, or load the model with a smaller window, a smaller `kv` format or a larger budget.',
        details: { neededBlocks: n, freeBlocks: this.nFree, allBlocks: this.nBlocks },
      },
    );
  }

  /** A free block, held by the caller from now on. @throws {ContextError} `context/kv-full` */
  take(): number {
    this.require(1);
    const block = this.free.pop()!;
    this.holders[block] = 1;
    return block;
  }

  /** One more holds it. */
  share(block: number): void {
    this.checkHeld(block);
    this.holders[block]!++;
  }

  isShared(block: number): boolean {
    this.checkHeld(block);
    return this.holders[block]! > 1;
  }

  release(block: number): void {
    this.checkHeld(block);
    if (--this.holders[block]! === 0) this.free.push(block);
  }

  private checkHeld(block: number): void {
    if (!this.holders[block]) throw new InternalError(`block ${block} of the key-value cache is held by nobody`);
  }
}
