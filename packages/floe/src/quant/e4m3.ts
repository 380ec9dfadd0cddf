/** The value of an E4M3 byte ("e4m3fn" of Micikevicius et al., 2022): no infinity, 448 at the most; 0x7f and 0xff are NaN. */
export function e4m3ToNumber(byte: number): number {
  const sign = byte & 0x80 ? -1 : 1;
  const [exponent, mantissa] = [(byte >> 3) & 15, byte & 7];
  if (exponent === 15 && mantissa === 7) return Number.NaN;
  return sign * (exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10));
}

/** The nearest E4M3, ties to even; beyond the largest that one. */
export function numberToE4m3(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x80 : 0;
  const magnitude = Math.min(448, Math.abs(value));
  // The finest step that this magnitude has: 2^-9 up to 2^-6, then twice as much for each power of two.
  const exponent = Math.max(-6, Math.floor(Math.log2(Math.max(magnitude, 2 ** -9))));
  const steps = magnitude / 2 ** (exponent - 3);
  const rounded = Math.round(steps) - (steps % 1 === 0.5 && Math.round(steps) % 2 === 1 ? 1 : 0);
  // Eight steps and more carry into the exponent, as they should.
  return sign | ((exponent + 6) * 8 + rounded);
}
