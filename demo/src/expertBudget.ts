/** The slider's positions: the share of experts that get a place on the GPU. */
import type { ExpertsReport } from 'floe';
import type { GpuBudget } from './session.ts';

type Sizes = Pick<ExpertsReport, 'nLayers' | 'nExperts' | 'leastSlots'>;

/** 0 is the fewest that work; any other position is a percentage. */
export function budgetAt(position: number): GpuBudget {
  return position <= 0 ? 'min' : `${position}%`;
}

/** How many experts a position gives places to. */
export function slotsAt(position: number, { nLayers, nExperts, leastSlots }: Sizes): number {
  const nAll = nLayers * nExperts;
  return Math.min(nAll, Math.max(leastSlots, Math.round((position / 100) * nAll)));
}

/** The position of what was loaded. */
export function positionOf({ nSlots, ...sizes }: Sizes & Pick<ExpertsReport, 'nSlots'>): number {
  if (nSlots <= slotsAt(0, sizes)) return 0;
  return Math.round((100 * nSlots) / (sizes.nLayers * sizes.nExperts));
}

/** '25%: 128 of 512 experts'. */
export function budgetInWords(position: number, sizes: Sizes): string {
  const nAll = sizes.nLayers * sizes.nExperts;
  const nSlots = slotsAt(position, sizes);
  if (nSlots >= nAll) return `all ${nAll.toLocaleString('en')} experts`;
  const count = `${nSlots.toLocaleString('en')} of ${nAll.toLocaleString('en')} experts`;
  return position <= 0 ? `the fewest that work: ${count}` : `${position}%: ${count}`;
}
