/** Fetches what is missing of a model while it answers, until all is stored that may be. */
import { FloeError, throwIfAborted } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import type { Arrivals } from './arrivals.ts';
import { fileBytes } from './fetchPlan.ts';
import { backgroundLock, ifFree } from './locks.ts';
import type { RecordPlan } from './record.ts';
import type { WriteQueue } from './writeQueue.ts';

export interface BackgroundOptions {
  readonly host: Host;
  /** The model's id. */
  readonly model: string;
  readonly plans: readonly RecordPlan[];
  readonly arrivals: Arrivals;
  readonly queue: WriteQueue;
  readonly isStored: (plan: RecordPlan) => boolean;
  /** Looks whether another tab has stored some of these meanwhile. */
  readonly findStored: (plans: readonly RecordPlan[]) => Promise<boolean>;
  readonly order: ((missing: readonly RecordPlan[]) => RecordPlan | undefined) | undefined;
  readonly signal: AbortSignal;
}

/** How often a tab looks what another has stored meanwhile, and whether that one still works at it. */
const LOOK_MS = 5_000;
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * Returns when nothing is left to do, or nothing can be done in this visit. One tab works at it at a time, so that
 * nothing is fetched twice; another looks on, and goes on when that one is closed.
 * @throws {RequestError} `request/aborted` when `signal` fires.
 */
export async function fetchInBackground(options: BackgroundOptions): Promise<void> {
  const { host, model, signal, findStored } = options;
  while (missingOf(options).length > 0) {
    if (await ifFree(host, backgroundLock(model), () => fetchAll(options))) return;
    await host.clock.sleep(LOOK_MS, signal);
    await findStored(missingOf(options));
  }
}

async function fetchAll(options: BackgroundOptions): Promise<void> {
  const { host, queue, findStored, signal } = options;
  for (let pauseMs = FIRST_PAUSE_MS; ; ) {
    await queue.hasRoom();
    throwIfAborted(signal);
    const group = nextGroup(options);
    if (group.length === 0) break;
    try {
      if (!(await findStored(group))) await fetchGroup(options, group);
      pauseMs = FIRST_PAUSE_MS;
    } catch (error) {
      throwIfAborted(signal);
      // A file that changed or is broken stays so; who reads the record is told.
      if (!(error instanceof FloeError) || !error.retryable) return;
      await host.clock.sleep(pauseMs, signal);
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
  }
  await queue.isIdle();
}

/** What is neither stored nor on its way there, and has room. */
function missingOf({ plans, isStored, queue }: BackgroundOptions): RecordPlan[] {
  return plans.filter((plan) => !isStored(plan) && !queue.get(plan.key) && queue.fits(plan));
}

/** The record wanted most, and the missing ones right behind it, up to a piece: they share their requests. */
function nextGroup(options: BackgroundOptions): RecordPlan[] {
  const { plans, order, arrivals } = options;
  const missing = missingOf(options);
  const first = order?.(missing) ?? missing[0];
  if (!first) return [];
  const group = [first];
  let groupBytes = fileBytes(first);
  const isMissing = new Set(missing);
  for (const plan of plans.slice(plans.indexOf(first) + 1)) {
    groupBytes += fileBytes(plan);
    if (groupBytes > arrivals.pieceBytes || !isMissing.has(plan)) break;
    group.push(plan);
  }
  return group;
}

async function fetchGroup({ arrivals, signal }: BackgroundOptions, group: readonly RecordPlan[]): Promise<void> {
  const fetched = await Promise.allSettled(group.map((plan) => arrivals.fetch(plan, 'background', signal)));
  for (const each of fetched) if (each.status === 'rejected') throw each.reason;
}
