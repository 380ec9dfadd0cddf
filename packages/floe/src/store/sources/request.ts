/** One HTTP request and its body, with every way it can go wrong named. Tries once; `retry.ts` tries again. */
import { abortedError, NetError } from '../../errors/index.ts';
import type { Host } from '../../host/index.ts';

export interface RequestInfo {
  /** The URL without query and fragment, for messages: a query may hold a signature. */
  readonly name: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A connection that brings less than this in `STALL_MS` of waiting is given up, and the rest asked for again. */
const STALL_MS = 20_000;
const STALL_BYTES = 20_000;
const LONGEST_RETRY_AFTER_MS = 120_000;
/** The server is asked later; the file is as good as before. */
const TRANSIENT_STATUS = [408, 425, 429, 500, 502, 503, 504];
/** Heals only where a redirect was followed: its target's signature had expired. */
const REFUSED_STATUS = [401, 403, 410];

/**
 * Sends a request and takes its status for an answer: resolves with 200, 206 or 416 only.
 * `range` is [first, last]; no other header is sent, since each one costs a preflight across origins.
 */
export async function request(
  host: Host,
  info: RequestInfo,
  how: { readonly method?: 'HEAD'; readonly range?: readonly [number, number]; readonly signal: AbortSignal },
): Promise<Response> {
  const range = how.range ? { Range: `bytes=${how.range[0]}-${how.range[1]}` } : {};
  const answer = host.fetch(info.url, {
    method: how.method ?? 'GET',
    headers: { ...info.headers, ...range },
    // Weights are kept in the store; a second copy in the HTTP cache would only push others out.
    cache: 'no-store',
    signal: how.signal,
  });
  const response = await orStalled(host, info, answer.catch(failed(info, how.signal)));
  if ([200, 206, 416].includes(response.status)) return response;
  await response.body?.cancel();
  throw statusError(info, response);
}

/**
 * The body in pieces. Ends when the server ends it: whoever reads counts the bytes, since a body without a length
 * that is cut looks complete. Only time spent waiting for the server counts as a stall.
 */
export async function* readBody(host: Host, info: RequestInfo, response: Response, signal: AbortSignal) {
  if (!response.body) return;
  const reader = response.body.getReader();
  try {
    let waitedMs = 0;
    let receivedBytes = 0;
    for (;;) {
      const start = host.clock.now();
      const { done, value } = await orStalled(host, info, reader.read().catch(failed(info, signal)));
      if (done) return;
      receivedBytes += value.length;
      waitedMs += host.clock.now() - start;
      yield value;
      if (waitedMs < STALL_MS) continue;
      if (receivedBytes < STALL_BYTES) throw stalled(info);
      waitedMs = receivedBytes = 0;
    }
  } finally {
    // Frees the connection at once; a body that already failed has nothing left to cancel.
    reader.cancel().catch(() => undefined);
  }
}

/** ETag, else the modification time (which is readable across origins without the server's leave), else null. */
export function versionOf(response: Response): string | null {
  return response.headers.get('ETag') ?? response.headers.get('Last-Modified');
}

export function sourceChanged(name: string, pinned: string, found: string): NetError {
  return new NetError('net/source-changed', `${name} changed on its server: it was ${pinned} and is ${found} now.`, {
    remedy: 'Load the model again; it is downloaded anew, and its parts are never mixed.',
    details: { url: name, pinned, found },
  });
}

export function rangeError(name: string, problem: string): NetError {
  return new NetError('net/range', `${name}: ${problem}.`, {
    remedy: 'The server or a proxy before it mishandles range requests. Try another host, or open the file locally.',
    details: { url: name },
  });
}

/** The connection ended, by itself, before the body did. */
export function endedEarly(info: RequestInfo, wantedBytes: number, receivedBytes: number): NetError {
  return offline(info, `the connection ended after ${receivedBytes} of ${wantedBytes} bytes`);
}

function offline(info: RequestInfo, problem: string, cause?: unknown): NetError {
  return new NetError('net/offline', `${info.name}: ${problem}.`, {
    remedy: 'Check the connection. If it is fine, the server may not allow this page to read it (CORS).',
    retryable: true,
    details: { url: info.name },
    ...(cause === undefined ? {} : { cause }),
  });
}

function failed(info: RequestInfo, signal: AbortSignal): (cause: unknown) => never {
  return (cause) => {
    if (signal.aborted) throw abortedError(signal.reason);
    throw offline(info, 'the server could not be reached, or the connection broke', cause);
  };
}

function stalled(info: RequestInfo): NetError {
  return new NetError('net/timeout', `${info.name}: fewer than ${STALL_BYTES} bytes came in ${STALL_MS / 1000} s.`, {
    remedy: 'The connection or the server is too slow just now. What has arrived is kept; try again later.',
    retryable: true,
    details: { url: info.name },
  });
}

async function orStalled<T>(host: Host, info: RequestInfo, promise: Promise<T>): Promise<T> {
  const settled = new AbortController();
  const stall = host.clock.sleep(STALL_MS, settled.signal).then(() => {
    throw stalled(info);
  });
  // When the promise wins, the sleeper is woken and rejects: nobody listens any more.
  stall.catch(() => undefined);
  // When the sleeper wins, the request may still fail later.
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, stall]);
  } finally {
    settled.abort();
  }
}

function statusError(info: RequestInfo, response: Response): NetError {
  const { status, redirected, headers } = response;
  const refused = REFUSED_STATUS.includes(status);
  const retryable = TRANSIENT_STATUS.includes(status) || (refused && redirected);
  const retryAfterMs = parseRetryAfter(headers);
  return new NetError(
    'net/http',
    `${info.name} answered ${status}${response.statusText ? ` ${response.statusText}` : ''}.`,
    {
      remedy: remedyFor(status, retryable),
      retryable,
      details: { url: info.name, status, ...(retryAfterMs === null ? {} : { retryAfterMs }) },
    },
  );
}

function remedyFor(status: number, retryable: boolean): string {
  if (status === 404) return 'Check the address: there is no file.';
  if (REFUSED_STATUS.includes(status)) return 'The server wants a login or does not allow this file. Check `headers`.';
  return retryable ? 'The server is busy. Try again later.' : 'The server refuses this request.';
}

/** Seconds, or a date, which is read against the server's own clock. */
function parseRetryAfter(headers: Headers): number | null {
  const value = headers.get('Retry-After');
  if (value === null) return null;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.parse(headers.get('Date') ?? '');
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), LONGEST_RETRY_AFTER_MS) : null;
}
