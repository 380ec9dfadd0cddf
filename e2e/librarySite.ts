/** A site of a test's own that has the library as it is published, under /floe/. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';

const dist = join(import.meta.dirname, '../packages/floe/dist');

export interface LibrarySite {
  readonly url: string;
  readonly close: () => void;
}

/** Serves what `answer` gives for a path, and the library's built files for what it gives nothing for. */
export async function serveLibrary(answer: (path: string) => string | undefined): Promise<LibrarySite> {
  const server = createServer(async ({ url = '/' }, response) => {
    const body = answer(url) ?? (await readFile(join(dist, basename(url))).catch(() => null));
    if (body === null) return void response.writeHead(404).end();
    response.setHeader('Content-Type', url === '/' ? 'text/html' : 'text/javascript');
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
