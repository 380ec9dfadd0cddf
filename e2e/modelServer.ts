/** A server for one GGUF file, of another origin than the page's, that can fail on purpose and counts what it sends. */
import { createReadStream, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';

const PIECE_BYTES = 64 * 1024;

export interface Sent {
  readonly start: number;
  /** Of what was given to the socket. */
  bytes: number;
}

export class ModelServer {
  /** Answers to GET, in order. */
  readonly sent: Sent[] = [];
  /** Where set: once so many bytes were sent in all, the connection is destroyed. It happens once. */
  cutAfterBytes: number | null = null;
  cuts = 0;
  /** Where set: once so many bytes were sent in all, nothing is sent until it is null again. */
  holdAtBytes: number | null = null;
  /** False: whatever part is asked for, the whole file is sent. */
  ranges = true;
  /** Between two pieces: a network that takes its time. */
  pauseMs = 0;
  /** Of all answers together; null: as fast as it goes. */
  bytesPerSecond: number | null = null;
  private freeAtMs = 0;
  readonly fileBytes: number;

  private constructor(
    private readonly file: string,
    private readonly server: Server,
  ) {
    this.fileBytes = statSync(file).size;
    server.on('request', (request, response) => void this.#answer(request, response));
  }

  static async start(file: string): Promise<ModelServer> {
    const server = createServer();
    const model = new ModelServer(file, server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return model;
  }

  /** The address of the file. Any other path is 404. */
  get url(): string {
    return `${this.origin}/model.gguf`;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get sentBytes(): number {
    return this.sent.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Allow-Headers', '*');
    response.setHeader('Access-Control-Expose-Headers', 'Content-Range, Content-Length, ETag, Accept-Ranges');
    if (request.method === 'OPTIONS') return void response.writeHead(204).end();
    if (request.url?.split('?')[0] !== '/model.gguf') return void response.writeHead(404).end('not here');

    const range = this.ranges ? /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') : null;
    const start = range ? Number(range[1]) : 0;
    const end = Math.min(range?.[2] ? Number(range[2]) : Number.POSITIVE_INFINITY, this.fileBytes - 1);
    response.setHeader('ETag', `"${this.fileBytes}"`);
    response.setHeader('Accept-Ranges', this.ranges ? 'bytes' : 'none');
    response.setHeader('Content-Length', end - start + 1);
    if (range) response.setHeader('Content-Range', `bytes ${start}-${end}/${this.fileBytes}`);
    response.writeHead(range ? 206 : 200);
    if (request.method === 'HEAD') return void response.end();
    await this.#send(response, start, end);
  }

  async #send(response: ServerResponse, start: number, end: number): Promise<void> {
    const record: Sent = { start, bytes: 0 };
    this.sent.push(record);
    for await (const piece of createReadStream(this.file, { start, end, highWaterMark: PIECE_BYTES })) {
      if (response.destroyed) return;
      if (this.cutAfterBytes !== null && this.sentBytes >= this.cutAfterBytes) {
        this.cutAfterBytes = null;
        this.cuts++;
        response.destroy();
        return;
      }
      while (this.holdAtBytes !== null && this.sentBytes >= this.holdAtBytes && !response.destroyed)
        await setTimeout(20);
      record.bytes += (piece as Buffer).length;
      // Waits until the socket took it, so that what is counted has left.
      await new Promise((resolve) => response.write(piece, resolve));
      if (this.pauseMs > 0) await setTimeout(this.pauseMs);
      if (this.bytesPerSecond !== null) await this.#inTurn((piece as Buffer).length / this.bytesPerSecond);
    }
    response.end();
  }

  /** One line for all: each piece takes its time behind those before it. */
  async #inTurn(seconds: number): Promise<void> {
    const now = performance.now();
    this.freeAtMs = Math.max(now, this.freeAtMs) + seconds * 1000;
    await setTimeout(this.freeAtMs - now);
  }
}
