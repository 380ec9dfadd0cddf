/** The incremental SHA-256 equals WebCrypto's, wherever the bytes are cut. */
import { describe, expect, it } from 'vitest';
import { hex } from './manifest.ts';
import { Sha256 } from './sha256.ts';

const bytes = Uint8Array.from({ length: 1_000 }, (_, i) => (i * 167 + (i >> 3)) & 0xff);

describe('Sha256', () => {
  // 55, 56: the length just fits behind the bytes, or takes another block. 63-65, 119-129: a block's edge.
  it.each([0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 1_000])('%i bytes at once', async (length) => {
    const hash = new Sha256();
    hash.update(bytes.subarray(0, length));
    const expected = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes.slice(0, length)));
    expect(hex(hash.digest())).toBe(hex(expected));
  });

  it.each([1, 3, 63, 64, 65, 200])('1000 bytes in pieces of %i', async (size) => {
    const hash = new Sha256();
    for (let at = 0; at < bytes.length; at += size) hash.update(bytes.subarray(at, at + size));
    expect(hex(hash.digest())).toBe(hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))));
  });
});
