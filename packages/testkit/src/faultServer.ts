/** A server for one file, in Node, that fails as told and keeps a log of what it was asked for. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What goes wrong. One that says `times` is over after so many requests; then the server is sound again. */
export type Fault =
  /** Ranges are ignored: 200 and the whole file. */
  | { readonly kind: 'noRanges' }
  /** The connection is destroyed after so many bytes of the body. */
  | { readonly kind: 'cutAfter'; readonly nBytes: number; readonly times: number }
  /** The body ends after so many bytes, without a length that would tell: a complete answer, to all appearances. */
  | { readonly kind: 'shortBody'; readonly nBytes: number; readonly times: number }
  | { readonly kind: 'longBody'; readonly nBytes: number; readonly times: number }
  | { readonly kind: 'status'; readonly status: number; readonly times: number; readonly retryAfter?: string }
  /** The right bytes under a header that speaks of others. */
  | { readonly kind: 'wrongContentRange'; readonly times: number }
  /** Content-Range and ETag are not sent, as across origins where the server doesn't expose them. */
  | { readonly kind: 'hiddenHeaders' }
  /** Each response's body comes in pieces (of 16 KiB by themselves) with a pause before each. */
  | { readonly kind: 'slow'; readonly pauseMs: number; readonly pieceBytes?: number; readonly times?: number }
  /** The headers come, and then nothing. */
  | { readonly kind: 'stall'; readonly times: number };

export interface ServerRequest {
  readonly method: string;
  /** First and last byte asked for; null without a Range. */
  readonly range: readonly [number, number] | null;
  readonly headers: IncomingMessage['headers'];
  /** Of the body, handed to the network. */
  sentBytes: number;
}

export interface FaultServer extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly ServerRequest[];
  /** Bytes of the file asked for in all, each as often as it was asked for. */
  readonly requestedBytes: () => number;
  /** Faults from now on; those before are over. */
  readonly fail: (...faults: readonly Fault[]) => void;
  /** Serves another file, or the same under another ETag. */
  readonly replace: (file: Uint8Array, etag: string) => void;
  readonly clearLog: () => void;
}

/** Serves `file` at a fresh port of this machine, until disposed. */
export async function startFaultServer(file: Uint8Array, etag = '"v1"'): Promise<FaultServer> {
  let current = { file, etag };
  let faults: (Fault & { left: number })[] = [];
  const requests: ServerRequest[] = [];

  const due = <K extends Fault['kind']>(kind: K): Extract<Fault, { kind: K }> | undefined => {
    const fault = faults.find((candidate) => candidate.kind === kind && candidate.left > 0);
    if (fault) fault.left--;
    return fault as Extract<Fault, { kind: K }> | undefined;
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { file, etag } = current;
    const range = due('noRanges') ? null : parseRange(request, file.length);
    const log: ServerRequest = { method: request.method ?? '', range, headers: request.headers, sentBytes: 0 };
    requests.push(log);
    const refused = due('status');
    if (refused) {
      response.writeHead(refused.status, refused.retryAfter === undefined ? {} : { 'Retry-After': refused.retryAfter });
      response.end('refused');
      return;
    }
    const hidden = due('hiddenHeaders');
    const headers: Record<string, string> = hidden ? {} : { ETag: etag };
    if (range && range[0] >= file.length) {
      response.writeHead(416, { ...headers, 'Content-Range': `bytes */${file.length}` }).end();
      return;
    }
    let body = range ? file.subarray(range[0], range[1] + 1) : file;
    const short = due('shortBody');
    const long = due('longBody');
    // Without a length and with the connection closed behind it, a body is as long as what came.
    if (short || long) response.shouldKeepAlive = false;
    else headers['Content-Length'] = String(body.length);
    if (short) body = body.subarray(0, short.nBytes);
    if (long) body = Buffer.concat([body, new Uint8Array(long.nBytes)]);
    if (range && !hidden) {
      const off = due('wrongContentRange') ? 1 : 0;
      headers['Content-Range'] = `bytes ${range[0] + off}-${range[1] + off}/${file.length}`;
    }
    response.writeHead(range ? 206 : 200, headers);
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    if (due('stall')) {
      response.flushHeaders();
      return;
    }
    await send(response, body, log, due('cutAfter')?.nBytes, due('slow'));
  };

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`,
    requests,
    requestedBytes: () =>
      requests.reduce(
        (sum, { method, range }) =>
          sum + (method === 'HEAD' ? 0 : range ? range[1] - range[0] + 1 : current.file.length),
        0,
      ),
    fail: (...next) => {
      faults = next.map((fault) => ({
        ...fault,
        left: ('times' in fault ? fault.times : undefined) ?? Number.POSITIVE_INFINITY,
      }));
    },
    replace: (file, etag) => {
      current = { file, etag };
    },
    clearLog: () => {
      requests.length = 0;
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function parseRange(request: IncomingMessage, sizeBytes: number): [number, number] | null {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  return match && [Number(match[1]), Math.max(Number(match[1]), Math.min(Number(match[2]), sizeBytes - 1))];
}

async function send(
  response: ServerResponse,
  body: Uint8Array,
  log: ServerRequest,
  cutAfter?: number,
  slow?: { readonly pauseMs: number; readonly pieceBytes?: number },
) {
  const pieceBytes = slow?.pieceBytes ?? 16 << 10;
  const end = Math.min(body.length, cutAfter ?? body.length);
  for (let at = 0; at < end && !response.destroyed; at += pieceBytes) {
    if (slow) await new Promise((resolve) => setTimeout(resolve, slow.pauseMs));
    const piece = body.subarray(at, Math.min(at + pieceBytes, end));
    log.sentBytes += piece.length;
    if (!response.write(piece)) await drained(response);
  }
  if (cutAfter === undefined || cutAfter >= body.length) response.end();
  // What was written before must reach the client: a destroyed socket takes it along.
  else setTimeout(() => response.destroy(), 20);
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once('drain', resolve);
    response.once('close', resolve);
  });
}
