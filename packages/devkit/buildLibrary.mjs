// Builds the library where its source is newer than its dist/.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { shadersDir } from './wgsl.mjs';

const floe = join(dirname(fileURLToPath(import.meta.url)), '../floe');

export function buildLibraryIfStale() {
  const built = join(floe, 'dist/node.js');
  const builtMs = existsSync(built) ? statSync(built).mtimeMs : 0;
  const newestMs = Math.max(
    ...[join(floe, 'src'), shadersDir].flatMap(filesBelow).map((file) => statSync(file).mtimeMs),
  );
  if (newestMs <= builtMs) return;
  execFileSync(process.execPath, [join(floe, 'build.mjs'), '--no-types'], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function filesBelow(dir) {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
