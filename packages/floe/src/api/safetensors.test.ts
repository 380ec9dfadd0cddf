/** A model in safetensors is loaded from its folder's address, and answers by its weights. */
import { startFilesServer } from '@floe/testkit/filesServer';
import { writeGguf } from '@floe/testkit/ggufWriter';
import { testGpu } from '@floe/testkit/nodeGpu';
import { randomGguf } from '@floe/testkit/randomModel';
import { referenceModel } from '@floe/testkit/referenceModel';
import { safetensorsModel } from '@floe/testkit/safetensors';
import { expect, it } from 'vitest';
import { nodeHost } from '../host/node.ts';
import { loadInThread } from './load.ts';

it('from a server: its name, its kind, and the likeliest tokens that float64 finds', async () => {
  const shape = { nLayers: 1, modelDim: 64, nHeads: 2, nKvHeads: 1, ffDim: 64, nVocab: 320, seed: 9 };
  const { files, meant } = safetensorsModel(randomGguf({ ...shape, architecture: 'llama', type: 'F32' }), {
    nShards: 2,
  });
  await using server = await startFilesServer(new Map([...files].map(([name, bytes]) => [`/tiny/${name}`, bytes])));
  const heard = new Set<string>();
  await using model = await loadInThread(nodeHost(testGpu()), `${server.origin}/tiny/`, {
    contextLength: 64,
    onProgress: ({ file }) => heard.add(file),
  });
  expect([...heard]).toEqual(['tiny']);
  expect(model.info).toMatchObject({ name: `${server.origin}/tiny/`, architecture: 'llama', quantization: 'F32' });
  expect(model.info).toMatchObject({ loadedFrom: 'network', hasChatTemplate: true, nVocab: 320 });

  const ids = [1, 7, 80, 200, 31];
  const logprobs = await model.logprobs(ids, { top: 1 });
  const { logits } = referenceModel(writeGguf(meant)).forward(ids);
  const best = logits.map((row) => row.indexOf(Math.max(...row)));
  expect(logprobs.map(({ top }) => top[0]![0])).toEqual(best);
});
