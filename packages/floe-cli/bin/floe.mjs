#!/usr/bin/env node
// The command `floe`. Published, it runs dist/main.js; inside the repository it first builds what is older than its
// source, and starts the program where Node's `webgpu` finds an adapter without a GPU too.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = join(dirname(fileURLToPath(import.meta.url)), '..');
const packages = join(here, '..');
const program = join(here, 'dist/main.js');

if (existsSync(join(here, 'src/main.ts'))) await runFromSource();
else await import('../dist/main.js');

async function runFromSource() {
  buildWhereOlder(join(packages, 'floe/dist/node.js'), ['floe/src', '../shaders'], 'floe/build.mjs', ['--no-types']);
  buildWhereOlder(program, ['floe-cli/src'], 'floe-cli/build.mjs');
  const { vulkanEnv } = await import('../../devkit/chromium.mjs');
  const child = spawn(process.execPath, ['--enable-source-maps', program, ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, ...vulkanEnv() },
  });
  // Ctrl-C reaches the program by itself, and it decides what that means; a signal sent to us alone is passed on.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('close', (status) => process.exit(status ?? 1));
}

function buildWhereOlder(product, sources, script, args = []) {
  const builtMs = existsSync(product) ? statSync(product).mtimeMs : 0;
  const isNewer = (path) => !/\.test\.ts$/.test(path) && statSync(path).mtimeMs > builtMs;
  const list = (dir) => readdirSync(dir, { recursive: true, withFileTypes: true });
  const files = sources.flatMap((source) =>
    list(join(packages, source))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  if (!files.some(isNewer)) return;
  const { status, stderr } = spawnSync(process.execPath, [join(packages, script), ...args], { encoding: 'utf8' });
  if (status === 0) return;
  process.stderr.write(stderr);
  process.exit(1);
}
