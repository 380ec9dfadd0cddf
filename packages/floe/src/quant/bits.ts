/**
 * How groups of 32 small quants lie on the GPU, so that a word holds four of them that are neighbours: nibbles as in Q4_0,
 * two-bit quants eight apart, single bits in order.
 */

/** `read(e)` of 32 elements into 16 bytes: byte j holds element j low and element j + 16 high. */
export function putNibbles(to: Uint8Array, at: number, read: (element: number) => number): void {
  for (let j = 0; j < 16; j++) to[at + j] = read(j) | (read(j + 16) << 4);
}

export function nibbleOf(from: Uint8Array, at: number, element: number): number {
  const byte = from[at + (element & 15)]!;
  return element < 16 ? byte & 15 : byte >> 4;
}

/** `read(e)` of 32 elements into 8 bytes: byte j holds elements j, j + 8, j + 16 and j + 24, the first lowest. */
export function putPairs(to: Uint8Array, at: number, read: (element: number) => number): void {
  for (let j = 0; j < 8; j++) to[at + j] = read(j) | (read(j + 8) << 2) | (read(j + 16) << 4) | (read(j + 24) << 6);
}

export function pairOf(from: Uint8Array, at: number, element: number): number {
  return (from[at + (element & 7)]! >> (2 * (element >> 3))) & 3;
}

/** `read(e)` of 32 elements into 4 bytes, bit e of the word. */
export function putBits(to: Uint8Array, at: number, read: (element: number) => number): void {
  for (let j = 0; j < 4; j++) {
    let byte = 0;
    for (let bit = 0; bit < 8; bit++) byte |= read(8 * j + bit) << bit;
    to[at + j] = byte;
  }
}

export function bitOf(from: Uint8Array, at: number, element: number): number {
  return (from[at + (element >> 3)]! >> (element & 7)) & 1;
}
