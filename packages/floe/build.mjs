// Builds dist/: plain JavaScript for today's browsers and Node 20, one file for each thread, and the types.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { wgslPlugin } from '../devkit/wgsl.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const src = join(here, 'src');
const dist = join(here, 'dist');
rmSync(dist, { recursive: true, force: true });

async function build(platform, input) {
  const bundle = await rolldown({
    input,
    platform,
    external: [/^node:/, 'webgpu'],
    plugins: [wgslPlugin()],
    transform: { target: 'es2022' },
    tsconfig: join(here, '../../tsconfig.json'),
  });
  await bundle.write({ dir: dist, format: 'esm', sourcemap: true, chunkFileNames: 'chunk-[hash].js' });
}

await build('browser', {
  index: join(src, 'index.ts'),
  worker: join(src, 'worker/worker.ts'),
  templateWorker: join(src, 'text/templateWorker.ts'),
});
await build('node', {
  node: join(src, 'node.ts'),
  'templateWorker.node': join(src, 'text/templateWorker.node.ts'),
});
if (!process.argv.includes('--no-types')) {
  execFileSync(join(here, '../../node_modules/.bin/tsc'), ['-p', join(here, 'tsconfig.build.json')], {
    stdio: 'inherit',
  });
}
