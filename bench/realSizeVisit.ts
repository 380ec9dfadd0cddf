/** One visit to a virtual model at one budget: load, two answers, two distributions, and what all that took. */
import type { VirtualServer } from '@floe/testkit/virtualServer';
import type { MemoryReport, PositionLogprobs } from 'floe';
import { type HeapUsage, HeapWatch } from './realSizeHeap.ts';
import { type Answer, ask, type Budget, load, logprobs, memory, type OpenedPage, unload } from './realSizePage.ts';

/** Six and five ids: a prompt's token routes to two experts, and each has to come over the network once. */
export const PROMPTS = ['sea ice', 'a floe'] as const;

export interface Visit {
  readonly budget: Budget;
  readonly loadMs: number;
  /** Over the network: until the model was ready, and in all. */
  readonly loadBytes: number;
  readonly fetchedBytes: number;
  readonly answers: readonly Answer[];
  /** Behind each id of each prompt. */
  readonly distributions: readonly PositionLogprobs[][];
  /** The most that was reported after any of these. */
  readonly gpuBytes: number;
  /** As reported at the end. */
  readonly memory: MemoryReport;
  readonly heapPeak: HeapUsage & { readonly nSamples: number };
  /** At the end, garbage collected. */
  readonly heapSettled: HeapUsage | null;
}

export async function visit(
  { page }: OpenedPage,
  server: VirtualServer,
  budget: Budget,
  nTokens: number,
  say: (what: string) => void,
): Promise<Visit> {
  // The page starts over, as that of a second visit does.
  await page.reload();
  server.clearLog();
  const heap = await HeapWatch.on(page);
  try {
    const startMs = performance.now();
    const info = await load(page, server.url, budget);
    const loadMs = performance.now() - startMs;
    const loadBytes = server.sentBytes();
    let report = await memory(page);
    let gpuBytes = sum(report);
    const look = async () => {
      report = await memory(page);
      gpuBytes = Math.max(gpuBytes, sum(report));
    };
    const answers: Answer[] = [];
    for (const prompt of PROMPTS) {
      say(`${prompt} …`);
      answers.push(await ask(page, prompt, nTokens));
      await look();
    }
    const distributions: PositionLogprobs[][] = [];
    for (const { promptIds } of answers) {
      say(`the distributions behind ${promptIds.length} ids`);
      distributions.push(await logprobs(page, promptIds, info.nVocab));
      await look();
    }
    const [heapSettled, fetchedBytes] = [await heap.settled(), server.sentBytes()];
    await unload(page);
    return {
      budget,
      loadMs,
      loadBytes,
      fetchedBytes,
      answers,
      distributions,
      gpuBytes,
      memory: report,
      heapPeak: heap.peak,
      heapSettled,
    };
  } finally {
    await heap.stop();
  }
}

function sum({ gpuBytes }: MemoryReport): number {
  return Object.values(gpuBytes).reduce((total, bytes) => total + bytes, 0);
}
