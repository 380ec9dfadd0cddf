/** `String.prototype.toWellFormed` for older engines and our types: half of a surrogate pair becomes U+FFFD. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '�');
}
