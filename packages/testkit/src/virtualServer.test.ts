/** A virtual file is served as a real one would be, by range, and what was sent is counted. */
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { virtualModel } from './virtualModel.ts';
import { startVirtualServer } from './virtualServer.ts';

const model = virtualModel({ nLayers: 1 });
const server = await startVirtualServer(model);
afterAll(() => server[Symbol.asyncDispose]());
afterEach(() => server.clearLog());

const get = (range: string, init: RequestInit = {}) => fetch(server.url, { ...init, headers: { Range: range } });

describe('a range', () => {
  it.each([
    ['of the header', 0, 2 ** 20],
    ['across 2^32', 2 ** 32 - 1_000_003, 3_000_000],
    ['at the end', model.sizeBytes - 77, 77],
  ])('%s is answered with its bytes', async (_, offset, length) => {
    const response = await get(`bytes=${offset}-${offset + length - 1}`);
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes ${offset}-${offset + length - 1}/${model.sizeBytes}`);
    expect(response.headers.get('etag')).toBe('"v1"');
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    const body = new Uint8Array(await response.arrayBuffer());
    expect(Buffer.compare(body, model.bytesAt(offset, length))).toBe(0);
    expect(server.sent).toEqual([{ offset, length, sentBytes: length }]);
  });

  it('beyond the end is cut there; behind the end it is refused', async () => {
    const cut = await get(`bytes=${model.sizeBytes - 10}-${model.sizeBytes + 10}`);
    expect((await cut.arrayBuffer()).byteLength).toBe(10);
    const behind = await get(`bytes=${model.sizeBytes}-`);
    expect(behind.status).toBe(416);
    expect(behind.headers.get('content-range')).toBe(`bytes */${model.sizeBytes}`);
    expect(server.sentBytes()).toBe(10);
  });

  it('that is given up is not made to its end', async () => {
    const life = new AbortController();
    const response = await get('bytes=0-3999999999', { signal: life.signal });
    await response.body!.getReader().read();
    life.abort();
    const before = await settled();
    expect(before).toBeGreaterThan(0);
    // What both sockets hold by themselves is a few MB.
    expect(before).toBeLessThan(100e6);
    const again = await get('bytes=5-8');
    expect(await again.arrayBuffer()).toHaveProperty('byteLength', 4);
    expect(server.sentBytes()).toBe(before + 4);
  });
});

/** Bytes sent once they have stopped to grow. */
async function settled(): Promise<number> {
  for (let before = -1; ; ) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const now = server.sentBytes();
    if (now === before) return now;
    before = now;
  }
}

describe('no range', () => {
  it('is refused, and HEAD tells the size', async () => {
    expect((await fetch(server.url)).status).toBe(403);
    const head = await fetch(server.url, { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe(String(model.sizeBytes));
    expect(server.sent).toEqual([]);
  });
  it('a preflight from another origin passes', async () => {
    const response = await fetch(server.url, { method: 'OPTIONS' });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-headers')).toBe('*');
  });
});
