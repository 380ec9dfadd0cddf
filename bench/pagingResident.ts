/** What paging costs where nothing has to be paged: the same step by the path that may miss, and by the one that can't. */
import type { Device } from '../packages/floe/src/gpu/index.ts';
import { median } from './pagingCosts.ts';
import { type ModelFile, place, unplace } from './pagingModel.ts';
import { Stepper } from './pagingStepper.ts';
import { type Row, round } from './report.ts';

export interface PagedPath {
  readonly row: Row;
  /** How many times faster a token is by the path that can't miss: the median of the runs' ratios. */
  readonly ratio: number;
  /** Of the path that may miss. */
  readonly blockingWaits: number;
}

const WARM_UP = 8;

export async function pagedPath(device: Device, file: ModelFile, nRuns: number, nTokens: number): Promise<PagedPath> {
  const model = await place(device, file, { share: 1 });
  const stepper = await Stepper.make(device, model);
  const run = async (how: 'paged' | 'whole') => {
    stepper.position = WARM_UP;
    const startMs = performance.now();
    for (let i = 0; i < nTokens; i++) await stepper.step(how);
    return (performance.now() - startMs) / nTokens;
  };
  for (let i = 0; i < WARM_UP; i++) await stepper.step('paged', i === 0 ? { id: 1 } : {});
  const { counts } = model.experts!;
  const [wholeMs, pagedMs]: [number[], number[]] = [[], []];
  let waits = 0;
  for (let i = 0; i < 2 * nRuns; i++) {
    const paged = async () => {
      const before = counts.blockingWaits;
      pagedMs.push(await run('paged'));
      waits += counts.blockingWaits - before;
    };
    if (i % 2 === 0) await paged();
    wholeMs.push(await run('whole'));
    if (i % 2 === 1) await paged();
  }
  await stepper.destroy();
  unplace(device, model);
  const ratio = median(wholeMs.map((ms, i) => ms / pagedMs[i]!));
  const blockingWaits = waits / (pagedMs.length * nTokens);
  const bench = 'all resident, by the path that may miss an expert and by the one that can not';
  const row = {
    bench,
    name: file.name,
    pagedMs: round(median(pagedMs)),
    wholeMs: round(median(wholeMs)),
    ratio: round(ratio),
    blockingWaits,
  };
  return { row, ratio, blockingWaits };
}
