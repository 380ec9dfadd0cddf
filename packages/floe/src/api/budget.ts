/** The budgets a model gets: what the caller says, and for the rest what this device has. */
import type { Host } from '../host/index.ts';
import { type ContextPlan, type GpuBudget, type MemoryPlan, type ModelPlan, planMemory } from '../model/index.ts';
import type { Budget, LoadNotice } from './types.ts';

/** What a page takes where nobody says how much memory there is. */
export const UNKNOWN_MEMORY_BYTES = 8 * 2 ** 30;
/** Of this machine's memory: what the GPU's buffers may take unasked (they are the same memory on most), and the tier beside it. */
export const GPU_SHARE = 1 / 2;
const TIER_SHARE = 1 / 4;

export interface DividedMemory extends MemoryPlan {
  /** For experts in this thread's memory. */
  readonly memoryBytes: number;
  /** What adapters may take on the GPU: what is kept for them and what is left over; Infinity where no bytes are promised. */
  readonly adapterRoomBytes: number;
  readonly notices: readonly LoadNotice[];
}

/**
 * How much of what: all experts on the GPU where they fit, else as many as the budget holds.
 * @throws {ExpertsError} `experts/budget-too-small`: not even the fewest experts that work would fit.
 * @throws {ModelError} `model/budget-too-small`: the budget asked for does not hold a model without experts.
 */
export function divideMemory(
  host: Pick<Host, 'memoryBytes'>,
  plan: ModelPlan,
  context: ContextPlan | number,
  budget: Budget = {},
): DividedMemory {
  const deviceBytes = host.memoryBytes ?? UNKNOWN_MEMORY_BYTES;
  const gpu = budget.gpuBytes ?? automatic(plan, context, deviceBytes);
  const memory = planMemory(plan, context, gpu, budget.adapterBytes);
  const left = memory.expertBytes - memory.slotBytes;
  const memoryBytes = budget.memoryBytes ?? Math.min(left > 0 ? memory.expertBytes : 0, deviceBytes * TIER_SHARE);
  const adapterRoomBytes =
    typeof budget.gpuBytes === 'number' ? budget.gpuBytes - memory.gpuBytes + memory.adapterBytes : Infinity;
  return { ...memory, memoryBytes, adapterRoomBytes, notices: noticesOf(plan, memory) };
}

function automatic(plan: ModelPlan, context: ContextPlan | number, deviceBytes: number): GpuBudget | 'all' {
  const budget = deviceBytes * GPU_SHARE;
  // A model without experts has nothing to leave out: whether it fits the device will show.
  const isWhole = plan.shape.nRoutedLayers === 0 || planMemory(plan, context, 'all').gpuBytes <= budget;
  return isWhole ? 'all' : budget;
}

/** Paging is slower, not worse: the caller is told of it, and of slots so few that each token loads all it uses. */
function noticesOf({ shape }: ModelPlan, { slots, nSlots, slotBytes, expertBytes }: MemoryPlan): LoadNotice[] {
  const nAll = slots.reduce((sum, { layers }) => sum + layers.length * shape.nExperts, 0);
  const cycle = slots.reduce((sum, { layers }) => sum + layers.length * shape.nExpertsUsed, 0);
  if (slotBytes >= expertBytes) return [];
  const notices: LoadNotice[] = [
    {
      kind: 'paged',
      message: `${nSlots} of ${nAll} experts fit on the GPU at once; the others are loaded when they are wanted.`,
    },
  ];
  if (nSlots < cycle) {
    const message = `A token uses ${cycle} experts and there are ${nSlots} slots: almost each is loaded anew for each token.`;
    notices.push({ kind: 'few-slots', message });
  }
  return notices;
}
