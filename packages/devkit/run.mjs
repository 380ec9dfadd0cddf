// Runs a TypeScript program of this repository in Node: node run.mjs bench/bench.ts [arguments…]
// Bundled on the fly (with WGSL imports), in an environment where Node's `webgpu` finds an adapter.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { buildLibraryIfStale } from './buildLibrary.mjs';
import { vulkanEnv } from './chromium.mjs';
import { wgslPlugin } from './wgsl.mjs';

const [entry, ...args] = process.argv.slice(2);
const input = resolve(entry);
// Beside the program, so that its bare imports resolve as they do for the source.
const outDir = join(dirname(input), 'node_modules/.floe-run');
mkdirSync(outDir, { recursive: true });
const file = join(outDir, `${basename(input, '.ts')}-${process.pid}.mjs`);
buildLibraryIfStale();
const bundle = await rolldown({
  input,
  platform: 'node',
  plugins: [wgslPlugin()],
  // The library as it is published, and what can't be bundled; all else is.
  external: [
    /^node:/,
    /^floe(\/|$)/,
    'webgpu',
    'node-llama-cpp',
    'playwright-core',
    '@playwright/test',
    'rolldown',
    'vite',
  ],
  logLevel: 'warn',
});
await bundle.write({ file, format: 'esm', codeSplitting: false, sourcemap: 'inline' });
const { status } = spawnSync(process.execPath, ['--enable-source-maps', file, ...args], {
  stdio: 'inherit',
  env: { ...process.env, ...vulkanEnv() },
});
(await import('node:fs')).rmSync(file, { force: true });
process.exit(status ?? 1);
