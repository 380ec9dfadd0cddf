/** What a load was asked for, checked before a byte moves: a wrong type here would mean "no limit" further down. */
import { invalid } from './check.ts';
import type { LoadOptions } from './types.ts';

/** @throws {RequestError} `request/invalid`: a budget or a paging option that can't be. */
export function checkLoadOptions({ budget = {}, paging = {}, download }: LoadOptions): void {
  bytesOption('budget.adapterBytes', budget.adapterBytes);
  bytesOption('budget.memoryBytes', budget.memoryBytes);
  bytesOption('budget.storageBytes', budget.storageBytes);
  wholeOption('paging.runAhead', paging.runAhead, 0);
  wholeOption('paging.group', paging.group, 1);
  const { dropBelow = 0 } = paging;
  if (!(typeof dropBelow === 'number' && dropBelow >= 0 && dropBelow <= 1))
    throw invalid('paging.dropBelow', String(dropBelow), 'a share from 0 to 1');
  if (download !== undefined && !DOWNLOADS.includes(download))
    throw invalid('download', String(download), `one of ${DOWNLOADS.join(', ')}`);
}

const DOWNLOADS = ['first', 'background', 'on-demand'];

/** Infinity says in words what leaving it out means to some. */
function bytesOption(name: string, bytes: unknown): void {
  if (bytes === undefined || (typeof bytes === 'number' && bytes >= 0)) return;
  throw invalid(name, String(bytes), 'a number of bytes, 0 or more');
}

function wholeOption(name: string, value: unknown, least: number): void {
  if (value === undefined || (typeof value === 'number' && Number.isInteger(value) && value >= least)) return;
  throw invalid(name, String(value), `a whole number, ${least} or more`);
}
