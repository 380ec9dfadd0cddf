import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';

/** The library is built before its tests: workers and the public entry points are tested as they ship. */
export function setup(): void {
  execFileSync(process.execPath, [resolve(import.meta.dirname, '../../floe/build.mjs'), '--no-types'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
