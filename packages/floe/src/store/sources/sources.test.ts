/** A source gives the very bytes asked for of the very file first seen, or says what is wrong. */

import { type Fault, type FaultServer, startFaultServer } from '@floe/testkit/faultServer';
import { afterEach, describe, expect, it } from 'vitest';
import { nodeHost } from '../../host/node.ts';
import { testHost, testModel } from '../host.testing.ts';
import type { ByteSource } from '../source.ts';
import { openSource, storedName } from './index.ts';

const { file } = testModel();
const PROBE = { probeBytes: 4_096 };
const host = testHost();
let server: FaultServer;
const start = async (...faults: Fault[]) => {
  server = await startFaultServer(file);
  server.fail(...faults);
};
afterEach(() => server?.[Symbol.asyncDispose]());

async function streamed(source: ByteSource): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source.stream!()) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

describe('http: ranges', () => {
  it('learns size and version with the first bytes, which are not fetched again', async () => {
    await start();
    const source = await openSource(host, server.url, PROBE);
    expect(source).toMatchObject({
      sizeBytes: file.length,
      version: '"v1"',
      ranges: true,
      local: false,
      name: server.url,
    });
    expect(await source.read(1_000, 10_000)).toEqual(file.slice(1_000, 11_000));
    expect(server.requests.map(({ range }) => range)).toEqual([
      [0, 4_095],
      [4_096, 10_999],
    ]);
  });

  it('sends no header that costs a preflight', async () => {
    await start();
    const source = await openSource(host, server.url, PROBE);
    await source.read(50_000, 100);
    for (const { headers } of server.requests) expect(headers).not.toHaveProperty('if-range');
  });

  it('asks by HEAD for a size that Content-Range hides', async () => {
    await start({ kind: 'hiddenHeaders' });
    const source = await openSource(host, server.url, PROBE);
    expect(source).toMatchObject({ sizeBytes: file.length, version: null });
    expect(await source.read(file.length - 10, 10)).toEqual(file.slice(-10));
  });

  it('opens a file smaller than its first request, and an empty one', async () => {
    server = await startFaultServer(file.slice(0, 100));
    expect((await openSource(host, server.url, PROBE)).sizeBytes).toBe(100);
    server.replace(new Uint8Array(0), '"empty"');
    expect((await openSource(host, server.url, PROBE)).sizeBytes).toBe(0);
  });

  it('refuses a read that ends behind the file, and does not ask for it', async () => {
    await start();
    const source = await openSource(host, server.url, PROBE);
    await expect(source.read(file.length - 10, 11)).rejects.toMatchObject({ code: 'gguf/truncated' });
    expect(await source.read(file.length - 10, 10)).toEqual(file.slice(-10));
    expect(server.requests).toHaveLength(2);
  });

  it('goes on where a cut connection ended', async () => {
    await start();
    const source = await openSource(host, server.url, PROBE);
    server.fail({ kind: 'cutAfter', nBytes: 20_000, times: 2 });
    let heard = 0;
    const bytes = await source.read(10_000, 80_000, undefined, {
      onBytes: (nBytes) => {
        heard += nBytes;
      },
    });
    expect(bytes).toEqual(file.slice(10_000, 90_000));
    expect(heard).toBe(80_000);
    expect(server.requests.slice(1).map(({ range }) => range?.[0])).toEqual([10_000, 30_000, 50_000]);
    // Where there is a place for them already, they are put there, however often the connection is cut.
    server.fail({ kind: 'cutAfter', nBytes: 20_000, times: 2 });
    const into = new Uint8Array(80_000);
    expect(await source.read(10_000, 80_000, undefined, { into })).toBe(into);
    expect(into).toEqual(bytes);
  });

  it('goes on after a body that is short and looks complete', async () => {
    await start();
    const source = await openSource(host, server.url, PROBE);
    server.fail({ kind: 'shortBody', nBytes: 5_000, times: 1 });
    expect(await source.read(10_000, 20_000)).toEqual(file.slice(10_000, 30_000));
  });

  it('tries again after a stall', async () => {
    await start();
    const source = await openSource(host, server.url, PROBE);
    server.fail({ kind: 'stall', times: 1 });
    expect(await source.read(10_000, 100)).toEqual(file.slice(10_000, 10_100));
  });

  it('leaves a connection that only trickles, keeps what came, and asks for the rest', async () => {
    await start();
    const source = await openSource(host, server.url, PROBE);
    server.fail({ kind: 'slow', pauseMs: 50, pieceBytes: 10, times: 1 });
    expect(await source.read(10_000, 20_000)).toEqual(file.slice(10_000, 30_000));
    expect(server.requests).toHaveLength(3);
    expect(server.requests[2]!.range![0]).toBeGreaterThan(10_000);
  });

  it.each([
    [{ kind: 'longBody', nBytes: 500, times: 1 }, 'net/range'],
    [{ kind: 'wrongContentRange', times: 1 }, 'net/range'],
    [{ kind: 'noRanges' }, 'net/range'],
    [{ kind: 'status', status: 404, times: 1 }, 'net/http'],
    [{ kind: 'status', status: 403, times: 1 }, 'net/http'],
  ] as const)('gives up at once on %o', async (fault, code) => {
    await start();
    const source = await openSource(host, server.url, PROBE);
    server.fail(fault);
    await expect(source.read(10_000, 100)).rejects.toMatchObject({ code });
    expect(server.requests).toHaveLength(2);
  });

  it.each([408, 429, 500, 503])('tries again after %i', async (status) => {
    await start({ kind: 'status', status, times: 2 });
    const source = await openSource(host, server.url, PROBE);
    expect(await source.read(0, 10)).toEqual(file.slice(0, 10));
    expect(server.requests).toHaveLength(3);
  });

  it('waits as long as Retry-After says', async () => {
    await start({ kind: 'status', status: 503, times: 1, retryAfter: '10' });
    const before = host.clock.now();
    await openSource(host, server.url, PROBE);
    expect(host.clock.now() - before).toBeGreaterThanOrEqual(9_900);
  });

  it('names status and address of a file that is not there', async () => {
    await start({ kind: 'status', status: 404, times: 1 });
    const opened = openSource(host, `${server.url}?token=secret`, PROBE);
    await expect(opened).rejects.toMatchObject({ code: 'net/http', details: { status: 404, url: server.url } });
  });

  it('refuses to go on when the ETag changed, and accepts the same ETag', async () => {
    await start();
    const source = await openSource(host, server.url, PROBE);
    server.replace(file, '"v2"');
    await expect(source.read(10_000, 100)).rejects.toMatchObject({ code: 'net/source-changed' });
    server.replace(file, '"v1"');
    expect(await source.read(10_000, 100)).toEqual(file.slice(10_000, 10_100));
  });

  it('says net/offline within seconds when there is no server', async () => {
    const before = host.clock.now();
    await expect(openSource(host, 'http://127.0.0.1:1/x.gguf')).rejects.toMatchObject({
      code: 'net/offline',
      retryable: true,
    });
    expect(host.clock.now() - before).toBeLessThan(30_000);
  });

  it('stops a read when aborted', async () => {
    await start();
    const source = await openSource(host, server.url, PROBE);
    server.fail({ kind: 'slow', pauseMs: 50 });
    const abort = new AbortController();
    const reading = source.read(10_000, 80_000, abort.signal, { onBytes: () => abort.abort() });
    await expect(reading).rejects.toMatchObject({ code: 'request/aborted' });
  });
});

describe('http: a server without ranges', () => {
  it('is read as one stream after its header, in one request', async () => {
    await start({ kind: 'noRanges' });
    const source = await openSource(host, server.url, PROBE);
    expect(source).toMatchObject({ ranges: false, sizeBytes: file.length });
    expect(await source.read(10, 3_000)).toEqual(file.slice(10, 3_010));
    expect(await streamed(source)).toEqual(new Uint8Array(file));
    expect(server.requests).toHaveLength(1);
    expect(await streamed(source)).toEqual(new Uint8Array(file));
  });

  it('is asked again for the whole file when it was cut, and seen bytes are passed over', async () => {
    await start({ kind: 'noRanges' }, { kind: 'cutAfter', nBytes: 50_000, times: 1 });
    const source = await openSource(host, server.url, PROBE);
    expect(await streamed(source)).toEqual(new Uint8Array(file));
    expect(server.requests).toHaveLength(2);
  });

  it('stops when aborted', async () => {
    await start({ kind: 'noRanges' }, { kind: 'slow', pauseMs: 20 });
    const source = await openSource(host, server.url, PROBE);
    const abort = new AbortController();
    const reading = (async () => {
      for await (const _ of source.stream!(abort.signal)) abort.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'request/aborted' });
  });
});

describe('near sources', () => {
  it('reads a File where it lies', async () => {
    const source = await openSource(host, new File([file], 'tiny.gguf', { lastModified: 7 }));
    expect(source).toMatchObject({ name: 'tiny.gguf', sizeBytes: file.length, version: '7', local: true });
    expect(await source.read(100, 50)).toEqual(file.slice(100, 150));
    await expect(source.read(file.length, 1)).rejects.toMatchObject({ code: 'gguf/truncated' });
  });

  it('reads a path in Node, and names one that is not there', async () => {
    const node = nodeHost(null);
    const path = new URL('./index.ts', import.meta.url);
    const source = await openSource(node, path);
    expect(new TextDecoder().decode(await source.read(0, 3))).toBe('/**');
    await source.close();
    await expect(openSource(node, '/no/such.gguf')).rejects.toMatchObject({ code: 'request/invalid' });
  });

  it('refuses a path and a relative URL where files have no paths', async () => {
    await expect(openSource(host, { path: 'x.gguf' })).rejects.toMatchObject({ code: 'request/invalid' });
    await expect(openSource(host, './x.gguf')).rejects.toMatchObject({ code: 'request/invalid' });
  });

  it('keeps a URL under its name without query and fragment, and a File under none', () => {
    expect(storedName(host, 'https://a.example/m/x.gguf?sig=1#y')).toBe('https://a.example/m/x.gguf');
    expect(storedName(host, new Blob())).toBeNull();
  });
});
