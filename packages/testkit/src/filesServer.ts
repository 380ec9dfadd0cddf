/** A server for several files by their paths, with ranges, and redirects as a hub has them. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FilesServer extends AsyncDisposable {
  /** Without a slash at its end. */
  readonly origin: string;
  readonly requests: readonly { readonly path: string; readonly headers: Readonly<Record<string, unknown>> }[];
  readonly clearLog: () => void;
}

/** What lies at a path: a file, or the address to go to. */
export type Served = Uint8Array | { readonly redirect: string };

/** Serves at a fresh port of this machine, until disposed. `ranges: false` sends whole files only. */
export async function startFilesServer(
  files: ReadonlyMap<string, Served>,
  { ranges = true }: { readonly ranges?: boolean } = {},
): Promise<FilesServer> {
  const requests: { path: string; headers: Readonly<Record<string, unknown>> }[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    requests.push({ path, headers: request.headers });
    const file = files.get(path);
    if (!file) {
      response.writeHead(404).end();
    } else if ('redirect' in file) {
      response.writeHead(302, { Location: file.redirect }).end();
    } else {
      const [, first, last] = (ranges && /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')) || [];
      const headers = { ETag: `"${path}"` };
      if (first === undefined) {
        response.writeHead(200, { ...headers, 'Content-Length': file.length }).end(file);
        return;
      }
      const body = file.subarray(Number(first), Number(last) + 1);
      const range = `bytes ${first}-${Number(first) + body.length - 1}/${file.length}`;
      response.writeHead(206, { ...headers, 'Content-Range': range, 'Content-Length': body.length }).end(body);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
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
