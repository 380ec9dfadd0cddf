/**
 * GPT-2's printable alphabet: one character for each byte, so that any bytes are a string without spaces. Bytes that
 * print stand for themselves; the other 68 are moved, in order, to U+0100 and up.
 */
export const charOfByte: readonly string[] = (() => {
  let moved = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const prints = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(prints ? byte : moved++);
  });
})();
const byteOfChar: ReadonlyMap<string, number> = new Map(charOfByte.map((char, byte) => [char, byte]));

const utf8 = new TextEncoder();

/** The text's UTF-8 bytes, each as its character. */
export function toByteLevel(text: string): string {
  let mapped = '';
  for (const byte of utf8.encode(text)) mapped += charOfByte[byte];
  return mapped;
}

/** The bytes a piece stands for; a character outside the alphabet stands for its own UTF-8. */
export function fromByteLevel(piece: string): Uint8Array {
  const bytes: number[] = [];
  for (const char of piece) {
    const byte = byteOfChar.get(char);
    if (byte === undefined) bytes.push(...utf8.encode(char));
    else bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
