/** A hub's address leads to the file, through redirects, with what a private one wants, and to no one else. */
import { startFilesServer } from '@floe/testkit/filesServer';
import { describe, expect, it } from 'vitest';
import { testHost } from '../host.testing.ts';
import { hubUrl } from './hub.ts';
import { openSource, storedName } from './index.ts';

describe('hubUrl', () => {
  it.each([
    ['hf:owner/repo/file.gguf', 'https://huggingface.co/owner/repo/resolve/main/file.gguf'],
    ['hf:owner/repo@v1.0/a/b.gguf', 'https://huggingface.co/owner/repo/resolve/v1.0/a/b.gguf'],
    ['hf:o/r@refs%2Fpr%2F1/f.gguf', 'https://huggingface.co/o/r/resolve/refs%2Fpr%2F1/f.gguf'],
    ['hf://Owner-1/re.po_2/Q4 K.gguf', 'https://huggingface.co/Owner-1/re.po_2/resolve/main/Q4%20K.gguf'],
    ['hf:o/r', 'https://huggingface.co/o/r/resolve/main/'],
    ['hf:o/r/a b/', 'https://huggingface.co/o/r/resolve/main/a%20b/'],
    ['hf:o/r@v1/', 'https://huggingface.co/o/r/resolve/v1/'],
    ['hf:o/r/f-00001-of-00002.gguf', 'https://huggingface.co/o/r/resolve/main/f-00001-of-00002.gguf'],
  ])('%s is %s', (address, url) => {
    expect(hubUrl(address).href).toBe(url);
    // In a page `loadModel` makes a URL of every address first.
    expect(hubUrl(new URL(address).href).href).toBe(url);
  });

  it('leads to a mirror', () => {
    expect(hubUrl('hf:o/r/f.gguf', 'http://localhost:8/hf/').href).toBe(
      'http://localhost:8/hf/o/r/resolve/main/f.gguf',
    );
  });

  it.each(['hf:repo/file.gguf', 'hf:o', 'hf:o/r@/f.gguf', 'hf:o/r/../f.gguf', 'hf:o/r//f', 'hf:../r/f', 'hf:'])(
    'refuses %s',
    (address) => expect(() => hubUrl(address)).toThrow(expect.objectContaining({ code: 'request/invalid' })),
  );

  it.each(['huggingface.co', 'file:///x', ''])('refuses a hub %j', (hub) =>
    expect(() => hubUrl('hf:o/r/f.gguf', hub)).toThrow(expect.objectContaining({ code: 'request/invalid' })),
  );
});

describe('a hub', () => {
  const host = testHost();
  const file = Uint8Array.from({ length: 5000 }, (_, i) => i % 251);
  const path = '/o/r/resolve/abc/f.gguf';

  it('is followed where it redirects; its token is for it alone', async () => {
    await using storage = await startFilesServer(new Map([['/blob?signature=1', file]]));
    await using hub = await startFilesServer(new Map([[path, { redirect: `${storage.origin}/blob?signature=1` }]]));
    const options = { hub: hub.origin, headers: { Authorization: 'Bearer secret' }, probeBytes: 16 };
    const source = await openSource(host, 'hf:o/r@abc/f.gguf', options);
    expect(source.name).toBe(`${hub.origin}${path}`);
    expect(await source.read(100, 3000)).toEqual(file.slice(100, 3100));
    // Signed addresses end: the hub is asked anew each time.
    expect(hub.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer secret', 'Bearer secret']);
    expect(storage.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
    expect(storedName(host, 'hf:o/r@abc/f.gguf', hub.origin)).toBe(source.name);
  });

  it('names what is not there', async () => {
    await using hub = await startFilesServer(new Map());
    const opened = openSource(host, 'hf:o/r/f.gguf', { hub: hub.origin });
    await expect(opened).rejects.toMatchObject({ code: 'net/http', details: { status: 404 } });
  });

  it('is asked by a `fetch` of one’s own', async () => {
    const asked: string[] = [];
    const fetch = async (url: string, init?: RequestInit) => {
      asked.push(`${url} ${new Headers(init?.headers).get('range')}`);
      return new Response(file.slice(0, 16), { status: 206, headers: { 'Content-Range': 'bytes 0-15/16' } });
    };
    const source = await openSource(host, 'hf:o/r/f.gguf', { fetch, probeBytes: 16 });
    expect(source.sizeBytes).toBe(16);
    expect(asked).toEqual(['https://huggingface.co/o/r/resolve/main/f.gguf bytes=0-15']);
  });
});
