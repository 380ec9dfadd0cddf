import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import { wgslPlugin } from './packages/devkit/wgsl.mjs';

/** The demo is built from here; the tests of every package run from here. */
export default defineConfig({
  root: resolve(import.meta.dirname, 'demo'),
  build: { outDir: resolve(import.meta.dirname, 'demo/dist'), emptyOutDir: true, target: 'es2022' },
  worker: { format: 'es' },
  plugins: [wgslPlugin()],
  test: {
    root: import.meta.dirname,
    // Tests of the demo run before the library is built.
    alias: [{ find: /^floe$/, replacement: resolve(import.meta.dirname, 'packages/floe/src/index.ts') }],
    include: ['packages/*/src/**/*.test.ts', 'bench/**/*.test.ts', 'demo/**/*.test.ts'],
    globalSetup: ['packages/testkit/src/globalSetup.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Two cores: SwiftShader and llama.cpp use all there are, so more workers only take turns.
    maxWorkers: 2,
    // Files share their worker's process, and with it what testkit/nodeGpu.ts has compiled: most of a test's time.
    isolate: false,
  },
});
