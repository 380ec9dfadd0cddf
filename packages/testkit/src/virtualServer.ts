/** A server for a file that is made while it is sent, with ranges, for pages of any origin; it logs what it sends. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A file that need not exist. */
export interface VirtualFile {
  readonly sizeBytes: number;
  readonly bytesAt: (offset: number, length: number) => Uint8Array;
}

/** An answer with bytes of the file in it. */
export interface SentRange {
  readonly offset: number;
  /** Bytes asked for, as far as the file has them. */
  readonly length: number;
  /** Bytes given to the socket so far: less than `length` where the other side went away. */
  sentBytes: number;
}

export interface VirtualServer extends AsyncDisposable {
  readonly url: string;
  readonly sent: readonly SentRange[];
  /** Of the file, in all. */
  readonly sentBytes: () => number;
  readonly clearLog: () => void;
}

/** Made and sent at once: a large range is never whole in memory. */
const PIECE_BYTES = 1 << 20;
const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Headers': '*',
  'Access-Control-Expose-Headers': 'Content-Range, Content-Length, ETag, Accept-Ranges',
};

/**
 * Serves `file` at a fresh port of this machine, until disposed. A GET without a range is refused with 403: it would
 * send what nobody has room for.
 */
export async function startVirtualServer(file: VirtualFile, etag = '"v1"'): Promise<VirtualServer> {
  const sent: SentRange[] = [];
  const server = createServer((request, response) => {
    answer(file, etag, request, response, sent).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`,
    sent,
    sentBytes: () => sent.reduce((sum, { sentBytes }) => sum + sentBytes, 0),
    clearLog: () => {
      sent.length = 0;
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

async function answer(
  file: VirtualFile,
  etag: string,
  request: IncomingMessage,
  response: ServerResponse,
  sent: SentRange[],
): Promise<void> {
  for (const [name, value] of Object.entries(CORS)) response.setHeader(name, value);
  if (request.method === 'OPTIONS') return void response.writeHead(204).end();
  if (request.url !== '/model.gguf') return void response.writeHead(404).end('not here');
  response.setHeader('ETag', etag);
  response.setHeader('Accept-Ranges', 'bytes');
  if (request.method === 'HEAD') return void response.writeHead(200, { 'Content-Length': file.sizeBytes }).end();
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  if (!range) return void response.writeHead(403).end('ask for a range');

  const first = Number(range[1]);
  const last = Math.min(range[2] ? Number(range[2]) : Number.POSITIVE_INFINITY, file.sizeBytes - 1);
  if (first > last) return void response.writeHead(416, { 'Content-Range': `bytes */${file.sizeBytes}` }).end();
  response.writeHead(206, {
    'Content-Length': last - first + 1,
    'Content-Range': `bytes ${first}-${last}/${file.sizeBytes}`,
  });
  const entry: SentRange = { offset: first, length: last - first + 1, sentBytes: 0 };
  sent.push(entry);
  await send(file, response, entry);
}

async function send(file: VirtualFile, response: ServerResponse, entry: SentRange): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  while (entry.sentBytes < entry.length) {
    const piece = file.bytesAt(entry.offset + entry.sentBytes, Math.min(PIECE_BYTES, entry.length - entry.sentBytes));
    const flows = response.write(piece);
    entry.sentBytes += piece.length;
    // Rejects when the other side has gone: nobody waits for the rest.
    if (!flows) await once(response, 'drain', { signal: gone.signal });
  }
  response.end();
}
