/** Blocks that leave the GPU, or come back, a portion at a time: what is on its way never takes more than that. */
const PORTION_BYTES = 16 << 20;

/** As many blocks as a portion has of those this large, in all layers: one at the least. */
export function portionBlocks(savedBytes: number): number {
  return Math.max(1, Math.floor(PORTION_BYTES / savedBytes));
}

/** What there is of as many blocks, a portion after another. */
export function portionsOf<T>(all: readonly T[], savedBytes: number): T[][] {
  const n = portionBlocks(savedBytes);
  return Array.from({ length: Math.ceil(all.length / n) }, (_, i) => all.slice(i * n, (i + 1) * n));
}
