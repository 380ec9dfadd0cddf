/** The form all benches share: rows and checks in, tables on a terminal or one JSON object out. */

/** One measurement: what it is of, and numbers by name. Units are in the names. */
export interface Row {
  /** Rows of one table come from one bench. */
  readonly bench: string;
  readonly name: string;
  readonly [column: string]: string | number;
}

export interface Check {
  readonly name: string;
  readonly value: number;
  /** What the value should reach at least. */
  readonly bound: number;
  readonly ok: boolean;
}

export interface Ceilings {
  /** Summing a 64 MB buffer. */
  readonly readGBs: number;
  /** f32, by independent chains of fma. */
  readonly gflops: number;
  readonly dispatchUs: number;
  readonly readBackMs: number;
}

export interface Report {
  readonly adapter: string;
  readonly ceilings: Ceilings;
  readonly rows: readonly Row[];
  readonly checks: readonly Check[];
}

/** A check that `value` is at least `bound`; what could not be measured (NaN) falls short. */
export function atLeast(name: string, value: number, bound: number): Check {
  return { name, value: round(value), bound, ok: value >= bound };
}

/** Three significant digits: what a shared machine can tell. */
export function round(value: number): number {
  return Number(value.toPrecision(3));
}

export function print({ adapter, ceilings, rows, checks }: Report): void {
  console.log(`Adapter: ${adapter}`);
  table([{ bench: 'ceilings', name: 'this adapter, this run', ...ceilings }]);
  for (const bench of new Set(rows.map((row) => row.bench))) table(rows.filter((row) => row.bench === bench));
  for (const { name, value, bound, ok } of checks)
    console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}: ${value} (≥ ${bound})`);
}

export function table(rows: readonly Row[]): void {
  const columns = [...new Set(rows.flatMap(Object.keys))].filter((column) => column !== 'bench');
  const cells = [columns, ...rows.map((row) => columns.map((column) => String(row[column] ?? '')))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)));
  console.log(`\n${rows[0]!.bench}`);
  for (const line of cells) {
    console.log(line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '));
  }
  console.log('');
}
