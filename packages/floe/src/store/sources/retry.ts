/** Tries again what a network may do better the next time: full jitter, and patience that ends. */
import { abortedError, NetError, throwIfAborted } from '../../errors/index.ts';
import type { Host } from '../../host/index.ts';

export interface RetryPolicy {
  /** Tries in a row without progress. */
  readonly tries: number;
  /** Milliseconds without progress. */
  readonly withinMs: number;
}

/** Before anything is known of a server: a page that is offline, or a typing error, is told so within seconds. */
export const PROBE_POLICY: RetryPolicy = { tries: 4, withinMs: 300_000 };
/** In the middle of a download: a train through a tunnel. */
export const READ_POLICY: RetryPolicy = { tries: Number.POSITIVE_INFINITY, withinMs: 300_000 };
/** Somebody waits for an answer: a network that is gone is said so, and not waited for as long as in a download. */
export const DEMAND_PATIENCE_MS = 30_000;

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** A redirect's signature expires, and the next try gets a fresh one; if three do not help it is a refusal. */
const REFUSALS = 3;

/** Calls `attempt` until it succeeds, fails for good, or there was no progress for as long as `policy` says. */
export async function withRetries<T>(
  host: Host,
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  attempt: (progressed: () => void) => Promise<T>,
): Promise<T> {
  let failures = 0;
  let refusals = 0;
  let since = host.clock.now();
  const progressed = () => {
    failures = 0;
    since = host.clock.now();
  };
  for (;;) {
    throwIfAborted(signal);
    try {
      return await attempt(progressed);
    } catch (error) {
      if (signal?.aborted) throw abortedError(signal.reason);
      if (!(error instanceof NetError) || !error.retryable) throw error;
      failures++;
      if (isRefusal(error)) refusals++;
      const waitMs = pauseMs(host, error, failures);
      const tooLong = host.clock.now() - since + waitMs > policy.withinMs;
      if (failures >= policy.tries || refusals >= REFUSALS || tooLong) throw error;
      await host.clock.sleep(waitMs, signal);
    }
  }
}

function pauseMs(host: Host, error: NetError, failures: number): number {
  const told = error.details.retryAfterMs;
  if (typeof told === 'number') return told;
  return host.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
}

function isRefusal(error: NetError): boolean {
  return [401, 403, 410].includes(Number(error.details.status));
}
