/** Tables of the README that tests write, so that none of their rows is a claim which no test made. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

export const readmePath = resolve(import.meta.dirname, '../../../README.md');

/**
 * The README with these lines between `<!-- name -->` and `<!-- /name -->`: a snapshot of the file itself, which a run with
 * `-u` writes.
 */
export function readmeWith(name: string, lines: readonly string[]): string {
  const begin = `<!-- ${name} -->\n`;
  const [before, rest] = readFileSync(readmePath, 'utf8').split(begin);
  return [before, begin, ...lines.map((line) => `${line}\n`), rest!.slice(rest!.indexOf(`<!-- /${name} -->`))].join('');
}
