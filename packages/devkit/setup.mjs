// Installs what is missing: the dependencies (by pnpm, through npx where there is none) and a Chromium with WebGPU.
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureChromium } from './chromium.mjs';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const PNPM = 'pnpm@12.21.0';

/** Runs pnpm in the repository, whether or not one is installed. */
export function pnpm(args, options = {}) {
  execFileSync('npx', ['--yes', PNPM, ...args], { cwd: root, stdio: 'inherit', ...options });
}

export function setup({ chromium = true } = {}) {
  const stamp = join(root, 'node_modules/.modules.yaml');
  const lock = join(root, 'pnpm-lock.yaml');
  if (!existsSync(stamp) || statSync(stamp).mtimeMs < statSync(lock).mtimeMs) {
    console.log('Installing dependencies …');
    pnpm(['install', '--frozen-lockfile', '--reporter=append-only']);
  }
  if (chromium) console.log(`Chromium: ${ensureChromium()}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setup();
