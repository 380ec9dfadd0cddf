/** WebGPU in Node for benches. The package is Floe's own dependency, found from there. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

/** Dawn's instance ends with this object, whatever devices of it are still at work. */
let kept: GPU;

export async function nodeGpu(): Promise<GPU> {
  const floe = createRequire(import.meta.url).resolve('floe/package.json');
  const url = pathToFileURL(createRequire(floe).resolve('webgpu')).href;
  const { create, globals } = (await import(url)) as { create: (flags: string[]) => GPU; globals: object };
  Object.assign(globalThis, globals);
  kept = create([]);
  return kept;
}
