import { vocabularyError } from './vocabulary.ts';

const utf8 = new TextEncoder();

/**
 * SentencePiece's compiled normalization (`precompiled_charsmap`): the longest beginning of the text that the map has
 * is replaced, again and again; what it lacks stays. The map is a u32 with the size of a trie in bytes, the trie, and
 * behind it the replacements, each ended by a zero byte.
 *
 * The trie is darts-clone's double array of u32 nodes. Of a node, bits 0 to 7 are the byte that leads to it, bit 8
 * says that a value hangs below it, bits 10 to 30 are the offset to its children, shifted left by 8 where bit 9 is
 * set. Of a value bit 31 is set; the rest is the place of a replacement.
 *
 * @throws {TextError} `text/vocabulary`: the map is cut, or leads out of itself.
 */
export function charsmapNormalizer(charsmap: Uint8Array): (text: string) => Uint8Array {
  const view = new DataView(charsmap.buffer, charsmap.byteOffset, charsmap.byteLength);
  const trieBytes = charsmap.length >= 4 ? view.getUint32(0, true) : 0;
  if (charsmap.length < 4 || trieBytes % 4 !== 0 || 4 + trieBytes >= charsmap.length) throw broken(charsmap.length);
  const nNodes = trieBytes / 4;
  const node = (index: number) => {
    if (index >= nNodes) throw broken(charsmap.length);
    return view.getUint32(4 + 4 * index, true);
  };
  const replacementAt = (value: number) => {
    const start = 4 + trieBytes + value;
    const end = charsmap.indexOf(0, start);
    if (start >= charsmap.length || end < 0) throw broken(charsmap.length);
    return charsmap.subarray(start, end);
  };

  /** The longest match at `start`: how many bytes, and what for. */
  const match = (bytes: Uint8Array, start: number): { nBytes: number; replacement: Uint8Array } | null => {
    let found: { nBytes: number; value: number } | null = null;
    let index = childrenOf(node(0));
    for (let at = start; at < bytes.length && bytes[at] !== 0; at++) {
      index = (index ^ bytes[at]!) >>> 0;
      const here = nNodes === 0 ? 0 : node(index);
      if ((here & 0x8000_00ff) >>> 0 !== bytes[at]) break;
      index = (index ^ childrenOf(here)) >>> 0;
      if ((here >>> 8) & 1) found = { nBytes: at + 1 - start, value: node(index) & 0x7fff_ffff };
    }
    return found && { nBytes: found.nBytes, replacement: replacementAt(found.value) };
  };

  return (text) => {
    const bytes = utf8.encode(text);
    if (nNodes === 0) return bytes;
    const out: number[] = [];
    for (let at = 0; at < bytes.length; ) {
      const found = match(bytes, at);
      if (found) {
        for (const byte of found.replacement) out.push(byte);
        at += found.nBytes;
      } else {
        // Without a match a whole code point stays: its other bytes begin nothing.
        do out.push(bytes[at++]!);
        while (at < bytes.length && (bytes[at]! & 0xc0) === 0x80);
      }
    }
    return Uint8Array.from(out);
  };
}

function childrenOf(node: number): number {
  return ((node >>> 10) << ((node & 0x200) >>> 6)) >>> 0;
}

function broken(nBytes: number) {
  return vocabularyError(`tokenizer.ggml.precompiled_charsmap (${nBytes} bytes) is cut or leads out of itself.`, {
    nBytes,
  });
}
