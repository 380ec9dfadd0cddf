/** A fetch that is made on the other side of a port is the fetch itself, as far as a download can tell. */
import { startFaultServer } from '@floe/testkit/faultServer';
import { expose, proxy, type Remote, wrap } from 'comlink';
import { afterEach, expect, it } from 'vitest';
import { fetchThrough, serveFetch } from './fetchBridge.ts';

type Fetch = (url: string, init?: RequestInit) => Promise<Response>;
const ports: { close(): void }[] = [];
afterEach(() => {
  for (const port of ports.splice(0)) port.close();
});

/** `fetch`, called through a port as the worker calls the page's. */
function bridged(fetch: Fetch): Fetch {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  expose({ page: () => proxy(serveFetch(fetch)) }, port1);
  const remote = wrap<{ page(): Parameters<typeof fetchThrough>[0] }>(port2) as Remote<{
    page(): Parameters<typeof fetchThrough>[0];
  }>;
  const made = remote.page().then((page) => fetchThrough(page as unknown as Parameters<typeof fetchThrough>[0]));
  return async (url, init) => (await made)(url, init);
}
const file = Uint8Array.from({ length: 20_000 }, (_, i) => i % 253);

it('brings status, headers and body', async () => {
  await using server = await startFaultServer(file);
  const fetch = bridged((url, init) => globalThis.fetch(url, init));
  const response = await fetch(server.url, { headers: { Range: 'bytes=10-15000', 'X-Token': 'a' }, cache: 'no-store' });
  expect(response.status).toBe(206);
  expect(response.headers.get('content-range')).toBe('bytes 10-15000/20000');
  expect(new Uint8Array(await response.arrayBuffer())).toEqual(file.slice(10, 15_001));
  expect(server.requests[0]!.headers['x-token']).toBe('a');
  const head = await fetch(server.url, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length'), head.body]).toEqual([200, '20000', null]);
});

it('says that it was redirected, and leaves the page’s own bytes in place', async () => {
  const own = new Uint8Array(file);
  const fetch = bridged(async () => Object.defineProperty(new Response(own), 'redirected', { value: true }));
  const response = await fetch('https://a.example/');
  expect(response.redirected).toBe(true);
  expect(new Uint8Array(await response.arrayBuffer())).toEqual(file);
  expect(own).toEqual(file);
});

it('takes a body only as it is read, and ends it when its reader does', async () => {
  let [pulled, ended] = [0, false];
  const body = () =>
    new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          pulled++;
          controller.enqueue(new Uint8Array(10));
        },
        cancel: () => {
          ended = true;
        },
      },
      { highWaterMark: 0 },
    );
  const reader = (await bridged(async () => new Response(body()))('https://a.example/')).body!.getReader();
  expect((await reader.read()).value).toHaveLength(10);
  await reader.read();
  expect(pulled).toBeLessThanOrEqual(3);
  await reader.cancel();
  await expect.poll(() => ended).toBe(true);
});

it('fails as the fetch fails, and is aborted by the signal', async () => {
  const failing = bridged(() => Promise.reject(new TypeError('Failed to fetch')));
  await expect(failing('https://a.example/')).rejects.toThrow('Failed to fetch');
  let aborted = false;
  const hanging = bridged(
    (_, init) =>
      new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => {
          aborted = true;
          reject(init.signal?.reason);
        });
      }),
  );
  const abort = new AbortController();
  const answer = hanging('https://a.example/', { signal: abort.signal });
  setTimeout(() => abort.abort(), 20);
  await expect(answer).rejects.toThrow(/abort/i);
  expect(aborted).toBe(true);
});
