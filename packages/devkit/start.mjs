// `npm start`: installs what is missing, builds the library and the page, and serves the page until Ctrl+C.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root, setup } from './setup.mjs';

const DEFAULT_PORT = 4173;

/** Builds the library, then the page with it. */
export function build() {
  for (const command of [
    ['packages/floe/build.mjs'],
    ['node_modules/vite/bin/vite.js', 'build', '--logLevel', 'warn'],
  ]) {
    execFileSync(process.execPath, [join(root, command[0]), ...command.slice(1)], { cwd: root, stdio: 'inherit' });
  }
}

/** Serves the built page, with ranges; on the next free port where `port` is taken. Returns its address and a way to end. */
export async function serve(port = Number(process.env.PORT) || DEFAULT_PORT) {
  // Imported here: before setup() there may be no Vite.
  const { preview } = await import('vite');
  const server = await preview({ configFile: join(root, 'vite.config.ts'), preview: { port, host: 'localhost' } });
  return { address: server.resolvedUrls.local[0], close: () => server.close() };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setup({ chromium: false });
  console.log('Building …');
  build();
  const { address } = await serve();
  console.log(`\n  Floe is at  ${address}\n\n  Open it in a browser with WebGPU. Ctrl+C ends it.\n`);
}
