// Builds dist/main.js, the program behind bin/floe.mjs. Floe itself stays a dependency, as it does when published.
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const here = dirname(fileURLToPath(import.meta.url));

export async function build() {
  const bundle = await rolldown({
    input: join(here, 'src/main.ts'),
    platform: 'node',
    external: [/^node:/, /^floe/],
    transform: { target: 'es2022' },
  });
  await bundle.write({ file: join(here, 'dist/main.js'), format: 'esm', sourcemap: true });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await build();
