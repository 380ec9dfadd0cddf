/** Numbers as a reader wants them. */

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const;

/** 16755776 -> '16.8 MB'. Decimal units, as downloads are sold. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : digits(value)} ${UNITS[unit]}`;
}

/** Three significant digits, and never an exponent. */
export function digits(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** 640 -> '640 ms', 2130 -> '2.13 s'. */
export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${digits(ms / 1000)} s`;
}

/** 27900000 -> '27.9 million'. */
export function count(value: number): string {
  if (value >= 1e9) return `${digits(value / 1e9)} billion`;
  return value >= 1e6 ? `${digits(value / 1e6)} million` : value.toLocaleString('en');
}
