import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const shipped = resolve(import.meta.dirname, '../data');
/** Larger files than a repository should hold: where `FLOE_TEST_DATA` says, else beside the checkout. */
const elsewhere = process.env.FLOE_TEST_DATA ?? resolve(import.meta.dirname, '../../../../shared');
const folders = [
  shipped,
  elsewhere,
  join(elsewhere, 'models'),
  join(elsewhere, 'tokenizers'),
  join(elsewhere, 'traces'),
];

/** The path of a test file by its name, or null where this machine does not have it: skip the test then. */
export function testData(name: string): string | null {
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}
