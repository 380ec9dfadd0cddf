/** A layer of Arctic at its true width, whose experts of 59 MB come by range, lie in files, and run within two budgets. */
import { virtualModel } from '@floe/testkit/virtualModel';
import { startVirtualServer } from '@floe/testkit/virtualServer';
import { answerChecks, restCheck } from '../bench/realSizeChecks.ts';
import { openPage } from '../bench/realSizePage.ts';
import { type Visit, visit } from '../bench/realSizeVisit.ts';
import { expect, test } from './fixtures.ts';
import { storedFiles } from './storage.ts';

/** So few that they are stored and read in a minute; two prompts are routed to twice as many as the small budget holds. */
const N_EXPERTS = 12;
const MEMORY_BYTES = 128 * 2 ** 20;
const ROOMY_BYTES = 2 ** 30;

test('experts of Arctic’s size: two GPU budgets give the same bits, and the second fetches nothing', async () => {
  test.setTimeout(300_000);
  const model = virtualModel({ nLayers: 1, shape: { nExperts: N_EXPERTS } });
  const denseBytes = model.sizeBytes - N_EXPERTS * model.expertBytes;
  // Two experts more than a token uses, and what is neither weights nor slots.
  const tightBytes = denseBytes + (model.shape.nExpertsUsed + 2) * model.expertBytes + 96 * 2 ** 20;
  const server = await startVirtualServer(model);
  const opened = await openPage();
  try {
    const visits: Visit[] = [];
    for (const gpuBytes of [ROOMY_BYTES, tightBytes]) {
      visits.push(await visit(opened, server, { gpuBytes, memoryBytes: MEMORY_BYTES }, 1, () => undefined));
    }
    const checks = [...answerChecks(model, visits, null), ...visits.map(restCheck)];
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    const experts = (await storedFiles(opened.page)).filter((bytes) => bytes === model.expertBytes);
    expect(experts.length).toBeGreaterThan(model.shape.nExpertsUsed);
  } finally {
    await opened.close();
    await server[Symbol.asyncDispose]();
  }
});
