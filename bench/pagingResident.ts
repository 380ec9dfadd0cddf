/** What paging costs where nothing has to be paged: the same step by the path that may miss, and by the one that can't. */
import type { Device } from '../packages/floe/src/gpu/index.ts';
import { median } from './pagingCosts.ts';
import { type ModelFile, place, unplace } from './pagingModel.ts';
import { Stepper } from './pagingStepper.ts';
import { type Row, round } from './report.ts';

export interface PagedPath {
  readonly row: Row;
  /** How many times faster a token is by the path that can't miss: the median of the tokens' ratios. */
  readonly ratio: number;
  /** Of the path that may miss. */
  readonly blockingWaits: number;
}

const WARM_UP = 8;

/** Token by token in turns, so that both meet a machine that others share as it is at that moment. */
export async function pagedPath(device: Device, file: ModelFile, nRuns: number, nTokens: number): Promise<PagedPath> {
  const model = await place(device, file, { share: 1 });
  const stepper = await Stepper.make(device, model);
  const timed = async (how: 'paged' | 'whole') => {
    const startMs = performance.now();
    await stepper.step(how);
    return performance.now() - startMs;
  };
  for (let i = 0; i < WARM_UP; i++) await stepper.step('paged', i === 0 ? { id: 1 } : {});
  const { counts } = model.experts!;
  const [wholeMs, pagedMs]: [number[], number[]] = [[], []];
  let waits = 0;
  const paged = async () => {
    const before = counts.blockingWaits;
    pagedMs.push(await timed('paged'));
    waits += counts.blockingWaits - before;
  };
  for (let i = 0; i < 2 * nRuns * nTokens; i++) {
    if (i % (2 * nTokens) === 0) stepper.position = WARM_UP;
    if (i % 2 === 0) await paged();
    wholeMs.push(await timed('whole'));
    if (i % 2 === 1) await paged();
  }
  await stepper.destroy();
  unplace(device, model);
  const ratio = median(wholeMs.map((ms, i) => ms / pagedMs[i]!));
  const blockingWaits = waits / pagedMs.length;
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
