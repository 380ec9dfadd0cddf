/** What a budget of bytes leaves for adapters, and whose it is: those that are there, and those on their way. */
import { ModelError } from '../errors/index.ts';
import type { AdapterPlan } from '../model/index.ts';

export class AdapterRoom {
  private readonly plans = new Set<AdapterPlan>();

  constructor(
    /** Infinity where the budget is no number of bytes. */
    private readonly roomBytes: number,
    /** Of all these adapters together. */
    private readonly bytesFor: (adapters: readonly AdapterPlan[]) => number,
  ) {}

  /** Before a weight of it is read. @throws {ModelError} `model/adapter-budget`: it does not fit beside the others. */
  take(plan: AdapterPlan): void {
    const neededBytes = this.bytesFor([...this.plans, plan]);
    if (neededBytes > this.roomBytes) throw noRoom(neededBytes, Math.max(0, this.roomBytes), this.plans.size);
    this.plans.add(plan);
  }

  give(plan: AdapterPlan): void {
    this.plans.delete(plan);
  }
}

function noRoom(neededBytes: number, roomBytes: number, nOthers: number): ModelError {
  const beside = nOthers === 0 ? '' : `, the ${nOthers} that are there included`;
  return new ModelError(
    'model/adapter-budget',
    `With this adapter ${neededBytes} bytes are needed on the GPU${beside}; the budget leaves ${roomBytes} for adapters.`,
    {
      remedy: `Load the model with a larger \`budget.gpuBytes\`, or where its experts are paged with \`budget.adapterBytes\` of ${neededBytes}.`,
      details: { neededBytes, roomBytes, nOthers },
    },
  );
}
