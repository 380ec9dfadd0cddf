/** A model file on a server, read by ranges; by one long stream where the server knows no ranges. */
import { NetError } from '../../errors/index.ts';
import type { Host } from '../../host/index.ts';
import { type ByteSource, checkRange } from '../source.ts';
import { endedEarly, type RequestInfo, rangeError, readBody, request, sourceChanged, versionOf } from './request.ts';
import { PROBE_POLICY, READ_POLICY, withRetries } from './retry.ts';
import { sequentialSource } from './sequential.ts';

export interface HttpOptions {
  readonly signal?: AbortSignal;
  /**
   * Sent with each request, for hosts that want a token. Across origins each one costs a preflight. Where a host leads on
   * to another origin, `fetch` itself decides what goes there: `Authorization` does not.
   */
  readonly headers?: Readonly<Record<string, string>>;
  /** Stands in for the platform's `fetch`. */
  readonly fetch?: ((url: string, init?: RequestInit) => Promise<Response>) | undefined;
  /** Where `hf:` addresses lead; https://huggingface.co by itself. */
  readonly hub?: string | undefined;
  /** Bytes of the first request, which learns size and version and brings the header with it. */
  readonly probeBytes?: number;
  /** Milliseconds without progress after which the first request is given up; 5 minutes by itself. */
  readonly patienceMs?: number;
}

const PROBE_BYTES = 1 << 20;

/** What the first answer told, and every later one is held to. */
interface Pinned {
  readonly sizeBytes: number;
  readonly version: string | null;
}

/** Asks for the file's beginning: size, version, whether ranges work, and (mostly) the header, in one request. */
export async function openHttp(host: Host, url: URL, options: HttpOptions): Promise<ByteSource> {
  const info: RequestInfo = { name: nameOf(url), url: url.href, headers: options.headers ?? {} };
  const policy = { ...PROBE_POLICY, withinMs: options.patienceMs ?? PROBE_POLICY.withinMs };
  return withRetries(host, policy, options.signal, async () => {
    const life = new AbortController();
    try {
      return await probe(host, info, options, life);
    } catch (error) {
      // The answer's body, which nobody reads on, would hold the connection.
      life.abort();
      throw error;
    }
  });
}

/** The URL without query and fragment. */
export function nameOf(url: URL): string {
  return url.origin === 'null' ? url.href.replace(/[?#].*$/, '') : `${url.origin}${url.pathname}`;
}

async function probe(host: Host, info: RequestInfo, options: HttpOptions, life: AbortController): Promise<ByteSource> {
  const probeBytes = options.probeBytes ?? PROBE_BYTES;
  const signal = options.signal ? AbortSignal.any([options.signal, life.signal]) : life.signal;
  const response = await request(host, info, { range: [0, probeBytes - 1], signal });
  const version = versionOf(response);
  if (response.status === 200) {
    options.signal?.addEventListener('abort', () => life.abort(options.signal?.reason), { once: true });
    return sequentialSource(host, info, response, life);
  }

  if (response.status === 416) {
    await response.body?.cancel();
    // The one file whose byte 0 can't be had is the empty one; its reader will say what is wrong with it.
    return rangedSource(host, info, { sizeBytes: 0, version }, new Uint8Array(0));
  }
  const range = parseContentRange(response);
  if (range && range.first !== 0) throw rangeError(info.name, `bytes from 0 were asked for, from ${range.first} came`);
  // Content-Range is hidden across origins unless the server exposes it; Content-Length never is.
  const sizeBytes = range?.total ?? (await sizeByHead(host, info, signal));
  const prefix = new Uint8Array(Math.min(probeBytes, sizeBytes));
  let filled = 0;
  try {
    await fill(host, info, response, prefix, 0, signal, (nBytes) => {
      filled += nBytes;
    });
  } catch (error) {
    // What was to be learned is known; a cut or stalled body is gone on with by the first read.
    if (!(error instanceof NetError) || !error.retryable) throw error;
  }
  return rangedSource(host, info, { sizeBytes, version }, prefix.subarray(0, filled));
}

async function sizeByHead(host: Host, info: RequestInfo, signal: AbortSignal): Promise<number> {
  const response = await request(host, info, { method: 'HEAD', signal });
  const length = response.headers.get('Content-Length');
  if (length === null || response.headers.has('Content-Encoding')) {
    throw rangeError(info.name, 'the server does not tell the size of the file');
  }
  return Number(length);
}

function rangedSource(host: Host, info: RequestInfo, pinned: Pinned, prefix: Uint8Array): ByteSource {
  const life = new AbortController();
  let fetchedBytes = prefix.length;
  const source: ByteSource = {
    name: info.name,
    ...pinned,
    local: false,
    ranges: true,
    get fetchedBytes() {
      return fetchedBytes;
    },
    read: async (offset, length, signal, options = {}) => {
      const { onBytes, patienceMs = READ_POLICY.withinMs, into } = options;
      checkRange(source, offset, length);
      const both = signal ? AbortSignal.any([signal, life.signal]) : life.signal;
      const bytes = into ?? new Uint8Array(length);
      // The probe's bytes are here already and not fetched again.
      const known = prefix.subarray(Math.min(offset, prefix.length), Math.min(offset + length, prefix.length));
      bytes.set(known);
      let filled = known.length;
      if (filled > 0) onBytes?.(filled);
      if (filled === length) return bytes;
      const policy = { ...READ_POLICY, withinMs: patienceMs };
      await withRetries(host, policy, both, async (progressed) => {
        const first = offset + filled;
        const response = await request(host, info, { range: [first, offset + length - 1], signal: both });
        await checkAnswer(info, pinned, response, first, offset + length - 1);
        // What has arrived stays: the next try asks for the rest.
        await fill(host, info, response, bytes, filled, both, (nBytes) => {
          filled += nBytes;
          fetchedBytes += nBytes;
          progressed();
          onBytes?.(nBytes);
        });
      });
      return bytes;
    },
    close: async () => life.abort(),
  };
  return source;
}

/** Only the very bytes asked for, of the very file first seen, are accepted. */
async function checkAnswer(info: RequestInfo, pinned: Pinned, response: Response, first: number, last: number) {
  const problem = answerProblem(info, pinned, response, first, last);
  if (!problem) return;
  await response.body?.cancel();
  throw problem;
}

function answerProblem(
  info: RequestInfo,
  pinned: Pinned,
  response: Response,
  first: number,
  last: number,
): NetError | null {
  const version = versionOf(response);
  if (pinned.version !== null && version !== null && version !== pinned.version) {
    return sourceChanged(info.name, pinned.version, version);
  }
  const range = parseContentRange(response);
  if (range && range.total !== pinned.sizeBytes) {
    return sourceChanged(info.name, `${pinned.sizeBytes} bytes`, `${range.total} bytes`);
  }
  if (response.status !== 206) return rangeError(info.name, `a range was asked for; the answer is ${response.status}`);
  if (response.headers.has('Content-Encoding')) return rangeError(info.name, 'a range came compressed');
  if (range && (range.first !== first || range.last !== last)) {
    return rangeError(info.name, `bytes ${first}-${last} were asked for, ${range.first}-${range.last} came`);
  }
  return null;
}

/** Reads the body into `bytes` from `at`; more or fewer bytes than fit is an error, whatever the headers promised. */
async function fill(
  host: Host,
  info: RequestInfo,
  response: Response,
  bytes: Uint8Array,
  at: number,
  signal: AbortSignal,
  onBytes?: (nBytes: number) => void,
): Promise<void> {
  let filled = at;
  for await (const piece of readBody(host, info, response, signal)) {
    if (filled + piece.length > bytes.length) {
      throw rangeError(info.name, `more than the ${bytes.length - at} bytes asked for came`);
    }
    bytes.set(piece, filled);
    filled += piece.length;
    onBytes?.(piece.length);
  }
  if (filled < bytes.length) throw endedEarly(info, bytes.length - at, filled - at);
}

function parseContentRange(response: Response): { first: number; last: number; total: number } | null {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '');
  return match && { first: Number(match[1]), last: Number(match[2]), total: Number(match[3]) };
}
