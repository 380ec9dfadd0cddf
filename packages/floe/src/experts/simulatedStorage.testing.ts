/** For tests of paging without a GPU: a storage whose reads end at moments a test chooses, or fail. */
import type { Seeded } from '@floe/testkit/seeded';
import { abortedError, type FloeError, StoreError } from '../errors/index.ts';
import type { RecordPlan } from '../store/index.ts';
import type { ExpertSource } from './reads.ts';

interface Load {
  readonly plan: RecordPlan;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (record: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

/** Not written where it is thrown: docs/errors.md lists what is. */
const MADE_UP = 'store/corrupt';

/** A plan of a record whose bytes all are key + 1: what a slot holds is seen in any of its bytes. */
export function simulatedRecord(key: number, sizeBytes: number): RecordPlan {
  return { key: String(key), sizeBytes, matrices: [] };
}

export class SimulatedStorage implements ExpertSource {
  /** Under way, in the order in which they began. */
  readonly loads: Load[] = [];
  /** Most that were under way at once. */
  mostLoads = 0;
  /** The chance that a read fails. */
  failing = 0;
  /** Records that are not near yet. */
  readonly far = new Set<string>();
  /** The failures it made up. */
  readonly failures = new Set<FloeError>();

  constructor(private readonly random: Seeded) {}

  readonly read = (plan: RecordPlan, signal?: AbortSignal): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortedError(signal.reason));
      this.loads.push({ plan, signal, resolve, reject });
      this.mostLoads = Math.max(this.mostLoads, this.loads.length);
    });

  readonly isNear = (plan: RecordPlan): boolean => !this.far.has(plan.key);

  /** Ends the read of that number: with its record, or with a failure by chance, or as aborted if it was meanwhile. */
  end(i: number): void {
    const { plan, signal, resolve, reject } = this.loads.splice(i, 1)[0]!;
    if (signal?.aborted) reject(abortedError(signal.reason));
    else if (this.random.uniform() < this.failing) reject(this.fail(plan));
    else {
      this.far.delete(plan.key);
      resolve(new Uint8Array(plan.sizeBytes).fill(Number(plan.key) + 1));
    }
  }

  private fail({ key }: RecordPlan): FloeError {
    const error = new StoreError(MADE_UP, `record ${key}`, { remedy: 'None: it is made up.' });
    this.failures.add(error);
    return error;
  }
}
