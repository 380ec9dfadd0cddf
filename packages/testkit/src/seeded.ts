/** Random numbers that are the same in every run and on every machine. */
export interface Seeded {
  /** In [0, 1). */
  readonly uniform: () => number;
  /** Of mean 0 and deviation 1. */
  readonly normal: () => number;
  /** A whole number from `min` to `max`, both included. */
  readonly int: (min: number, max: number) => number;
  readonly uniforms: (n: number, min?: number, max?: number) => Float32Array;
  readonly normals: (n: number, deviation?: number) => Float32Array;
  readonly ints: (n: number, min: number, max: number) => Int32Array;
  readonly bytes: (n: number) => Uint8Array;
  readonly pick: <T>(list: readonly T[]) => T;
  /** A source of its own for `name`: what is drawn from it does not depend on what was drawn here before. */
  readonly fork: (name: string) => Seeded;
}

/** sfc32 (PractRand), 128 bits of state, seeded with the hash of `seed`. */
export function seeded(seed: number | string): Seeded {
  const next = sfc32(hash(String(seed)));
  // Two draws of 32 and 21 bits fill a double's mantissa.
  const uniform = () => (next() * 2 ** 21 + (next() >>> 11)) / 2 ** 53;
  // Box-Muller; 1 - u is never 0.
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const int = (min: number, max: number) => min + Math.floor(uniform() * (max - min + 1));
  return {
    uniform,
    normal,
    int,
    uniforms: (n, min = 0, max = 1) => Float32Array.from({ length: n }, () => min + (max - min) * uniform()),
    normals: (n, deviation = 1) => Float32Array.from({ length: n }, () => deviation * normal()),
    ints: (n, min, max) => Int32Array.from({ length: n }, () => int(min, max)),
    bytes: (n) => Uint8Array.from({ length: n }, () => int(0, 255)),
    pick: (list) => list[int(0, list.length - 1)]!,
    fork: (name) => seeded(`${seed}/${name}`),
  };
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (const char of text) h = Math.imul(h ^ char.codePointAt(0)!, 0x01000193);
  return h >>> 0;
}

function sfc32(seed: number): () => number {
  let [a, b, c, counter] = [seed, 0x9e3779b9, 0x243f6a88, 1];
  const next = () => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}
