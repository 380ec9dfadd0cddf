/** A page's own `fetch`, called from the worker: the request goes to the page, its body comes back in pieces. */
import { proxy, transfer } from 'comlink';

/** What of a `RequestInit` can cross. */
export interface WireInit {
  readonly method: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly cache?: RequestCache;
}

export interface WireResponse {
  readonly status: number;
  readonly statusText: string;
  readonly redirected: boolean;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly hasBody: boolean;
}

/** The page's side. `call` names a request, which the worker counts. */
export interface FetchFace {
  request(call: number, url: string, init: WireInit): Promise<WireResponse>;
  /** The body's next bytes; null behind the last. */
  next(call: number): Promise<Uint8Array | null>;
  /** Ends a request and its body. */
  cancel(call: number): void;
}

/** What a call to the worker takes along of the page's own `fetch`; null where it has none. */
export function pageFetch(
  fetch: ((url: string, init?: RequestInit) => Promise<Response>) | undefined,
): FetchFace | null {
  return fetch ? proxy(serveFetch(fetch)) : null;
}

/** Calls `fetch` for the worker. */
export function serveFetch(fetch: (url: string, init?: RequestInit) => Promise<Response>): FetchFace {
  const aborts = new Map<number, AbortController>();
  const bodies = new Map<number, ReadableStreamDefaultReader<Uint8Array>>();
  const forget = (call: number) => {
    aborts.delete(call);
    bodies.delete(call);
  };
  const face: FetchFace = {
    request: async (call, url, { method, headers, cache }) => {
      const abort = new AbortController();
      aborts.set(call, abort);
      try {
        const asked = { method, headers: headers.map(([name, value]): [string, string] => [name, value]) };
        const response = await fetch(url, { ...asked, ...(cache ? { cache } : {}), signal: abort.signal });
        if (response.body) bodies.set(call, response.body.getReader());
        else forget(call);
        const { status, statusText, redirected, body } = response;
        return { status, statusText, redirected, headers: [...response.headers], hasBody: body !== null };
      } catch (error) {
        forget(call);
        throw error;
      }
    },
    next: async (call) => {
      try {
        const piece = await bodies.get(call)?.read();
        if (piece && !piece.done) {
          // A copy: what the page's own function made may not be taken away from it.
          const bytes = piece.value.slice();
          return transfer(bytes, [bytes.buffer]);
        }
      } catch (error) {
        forget(call);
        throw error;
      }
      forget(call);
      return null;
    },
    cancel: (call) => {
      aborts.get(call)?.abort();
      // An aborted fetch has failed its body already; one that knows no signal has not.
      bodies
        .get(call)
        ?.cancel()
        .catch(() => undefined);
      forget(call);
    },
  };
  return face;
}

/** The `fetch` of the worker's host, which asks the page. */
export function fetchThrough(
  page: {
    readonly [K in keyof FetchFace]: (...args: Parameters<FetchFace[K]>) => Promise<Awaited<ReturnType<FetchFace[K]>>>;
  },
): (url: string, init?: RequestInit) => Promise<Response> {
  let nCalls = 0;
  return async (url, { method = 'GET', headers, cache, signal } = {}) => {
    const call = ++nCalls;
    signal?.throwIfAborted();
    const cancel = () => void page.cancel(call);
    signal?.addEventListener('abort', cancel, { once: true });
    const init: WireInit = { method, headers: [...new Headers(headers)], ...(cache ? { cache } : {}) };
    const answer = await page.request(call, url, init);
    const body = answer.hasBody && method !== 'HEAD' ? bodyOf(() => page.next(call), cancel) : null;
    const response = new Response(body, {
      status: answer.status,
      statusText: answer.statusText,
      headers: answer.headers.map(([name, value]): [string, string] => [name, value]),
    });
    // A made response can't say so by itself.
    return Object.defineProperty(response, 'redirected', { value: answer.redirected });
  };
}

function bodyOf(next: () => Promise<Uint8Array | null>, cancel: () => void): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const bytes = await next();
        if (bytes) controller.enqueue(bytes);
        else controller.close();
      },
      cancel,
    },
    { highWaterMark: 0 },
  );
}
