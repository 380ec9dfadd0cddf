/**
 * SHA-256 of bytes that come one after the other (FIPS 180-4). WebCrypto hashes only what lies in memory as a whole,
 * and a model file does not; hashes of records, which do, are WebCrypto's.
 */
const BLOCK_BYTES = 64;

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const ROUND = fractions(64, (prime) => Math.cbrt(prime));
/** The same of the square roots of the first 8. */
const INITIAL = fractions(8, (prime) => Math.sqrt(prime));

export class Sha256 {
  readonly #state = Int32Array.from(INITIAL);
  readonly #words = new Int32Array(64);
  readonly #pending = new Uint8Array(BLOCK_BYTES);
  #nPending = 0;
  #nBytes = 0;

  update(bytes: Uint8Array): void {
    this.#nBytes += bytes.length;
    let at = 0;
    if (this.#nPending > 0) {
      at = Math.min(BLOCK_BYTES - this.#nPending, bytes.length);
      this.#pending.set(bytes.subarray(0, at), this.#nPending);
      this.#nPending += at;
      if (this.#nPending < BLOCK_BYTES) return;
      this.#block(this.#pending, 0);
      this.#nPending = 0;
    }
    for (; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) this.#block(bytes, at);
    this.#pending.set(bytes.subarray(at));
    this.#nPending = bytes.length - at;
  }

  /** Ends the hash; nothing can be added after. */
  digest(): Uint8Array {
    const nBytes = this.#nBytes;
    const padding = new Uint8Array(
      (this.#nPending + 8 >= BLOCK_BYTES ? 2 * BLOCK_BYTES : BLOCK_BYTES) - this.#nPending,
    );
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    // The length in bits as a 64-bit integer: 2^32 bits are 2^29 bytes.
    view.setUint32(padding.length - 8, Math.floor(nBytes / 2 ** 29));
    view.setUint32(padding.length - 4, (nBytes * 8) >>> 0);
    this.update(padding);
    const digest = new DataView(new ArrayBuffer(32));
    this.#state.forEach((word, i) => {
      digest.setInt32(4 * i, word);
    });
    return new Uint8Array(digest.buffer);
  }

  #block(bytes: Uint8Array, at: number): void {
    const w = this.#words;
    for (let i = 0, p = at; i < 16; i++, p += 4) {
      w[i] = (bytes[p]! << 24) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 8) | bytes[p + 3]!;
    }
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15]!;
      const y = w[i - 2]!;
      const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
      const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
      w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0;
    }
    const state = this.#state;
    let a = state[0]!;
    let b = state[1]!;
    let c = state[2]!;
    let d = state[3]!;
    let e = state[4]!;
    let f = state[5]!;
    let g = state[6]!;
    let h = state[7]!;
    for (let i = 0; i < 64; i++) {
      const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[i]! + w[i]!) | 0;
      const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0] = (state[0]! + a) | 0;
    state[1] = (state[1]! + b) | 0;
    state[2] = (state[2]! + c) | 0;
    state[3] = (state[3]! + d) | 0;
    state[4] = (state[4]! + e) | 0;
    state[5] = (state[5]! + f) | 0;
    state[6] = (state[6]! + g) | 0;
    state[7] = (state[7]! + h) | 0;
  }
}

function rotate(x: number, n: number): number {
  return (x >>> n) | (x << (32 - n));
}

function fractions(n: number, root: (prime: number) => number): Int32Array {
  const words: number[] = [];
  for (let candidate = 2; words.length < n; candidate++) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor++) prime &&= candidate % divisor !== 0;
    // A double has 52 bits behind the point, less the three a root below 8 takes: 32 are exact.
    if (prime) words.push(((root(candidate) % 1) * 2 ** 32) | 0);
  }
  return Int32Array.from(words);
}
