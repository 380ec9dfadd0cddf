/** Random numbers that a seed repeats: sfc32 (PractRand, public domain), 96 bits of state and a counter. */
export interface SeededNormals {
  /** In [0, 1), of 32 bits. */
  readonly uniform: () => number;
  /** Of mean 0 and deviation 1. */
  readonly normal: () => number;
}

export function seededNormals(seed: number): SeededNormals {
  let [a, b, c, counter] = [seed | 0, 0x9e3779b9 | 0, 0x243f6a88, 1];
  const uniform = (): number => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  // The first numbers still show the seed.
  for (let i = 0; i < 12; i++) uniform();

  // Box and Muller 1958: two uniform numbers make two normal ones; the second waits here.
  let second: number | null = null;
  const normal = (): number => {
    if (second !== null) {
      const value = second;
      second = null;
      return value;
    }
    // 1 - u is never 0.
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    second = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  return { uniform, normal };
}
