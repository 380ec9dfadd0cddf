/** Formats without scales: the row as it is, padded behind its end. */
export function copyIntoMain(row: Uint8Array, main: Uint8Array): void {
  main.set(row);
}

/** The inverse of `copyIntoMain`; the padding is dropped. */
export function copyFromMain(main: Uint8Array, _side: Uint8Array, row: Uint8Array): void {
  row.set(main.subarray(0, row.length));
}

/** A view for reading little-endian numbers out of `bytes`. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
