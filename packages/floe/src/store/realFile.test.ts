/** A real file, through the real reader, is opened from the store by its header alone. */
import { readFile } from 'node:fs/promises';
import { startFaultServer } from '@floe/testkit/faultServer';
import { expect, it } from 'vitest';
import { type Gguf, readGguf, type TensorInfo } from '../gguf/index.ts';
import { planeBytes } from '../quant/index.ts';
import { testHost } from './host.testing.ts';
import { openWeights } from './openWeights.ts';
import { unpackSource } from './pack.ts';
import type { RecordPlan } from './record.ts';

const path = new URL('../../../testkit/data/arctic-tiny-sql-q4_0.gguf', import.meta.url);

/** Each tensor a record by itself. */
function planOf({ name, format, shape, offset, sizeBytes, nElements }: TensorInfo): RecordPlan {
  const rowElements = shape.at(-1)!;
  const nRows = nElements / rowElements;
  const { main, side } = planeBytes(format!, nRows, rowElements);
  const sideOffset = Math.ceil(main / 256) * 256;
  const sources = [{ tensor: name, offset, sizeBytes }];
  const matrix = { format: format!.name, nRows, rowElements, sources, mainOffset: 0, sideOffset };
  return { key: name, sizeBytes: sideOffset + Math.ceil(side / 256) * 256, matrices: [matrix] };
}

it('arctic-tiny: every tensor comes back byte for byte, the second time with no network', async () => {
  const file = new Uint8Array(await readFile(path));
  await using server = await startFaultServer(file);
  const host = testHost();
  const options = {
    readHeader: (source: Parameters<typeof readGguf>[0], signal?: AbortSignal) =>
      readGguf(source, signal ? { signal } : {}),
    makePlans: (gguf: Gguf) => [...gguf.tensors.values()].map(planOf),
  };
  await (await openWeights(host, server.url, options)).weights.close();
  expect(server.requestedBytes()).toBeLessThanOrEqual(file.length * 1.05);

  const offline = { ...host, fetch: () => Promise.reject(new TypeError('fetch failed')) };
  const { from, plans, weights } = await openWeights(offline, server.url, options);
  expect(from).toBe('store');
  for (const plan of plans) {
    const [matrix] = plan.matrices;
    const { offset, sizeBytes } = matrix!.sources[0]!;
    const bytes = unpackSource(matrix!, 0, await weights.read(plan));
    expect(Buffer.compare(bytes, file.subarray(offset, offset + sizeBytes)), plan.key).toBe(0);
  }
});
