/** One conversation far beyond its window: that its last tokens cost what its first did, in time, work and memory. */
import type { Engine } from '../packages/floe/src/generate/index.ts';
import type { Device } from '../packages/floe/src/gpu/index.ts';
import { type Check, type Row, round } from './report.ts';

const MIB = 2 ** 20;

/** Decodes `nTokens`, a tenth at a time. The heap is looked at after a collection, where node was started with --expose-gc. */
export async function soak(device: Device, engine: Engine, nTokens: number): Promise<{ rows: Row[]; checks: Check[] }> {
  const greedy = { kind: 'greedy' } as const;
  await engine.warmUp();
  const { window } = engine.context;
  const prompt = Array.from({ length: window }, (_, i) => i % 256);
  const conversation = engine.open();
  let pending = await conversation.prefill(prompt, greedy, 0, () => {});
  const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});
  const rows: Row[] = [];
  for (let tenth = 0; tenth < 10; tenth++) {
    const before = { ...device.counts };
    const startMs = performance.now();
    const n = Math.floor(nTokens / 10);
    for (let i = 0; i < n; i++) {
      const next = await conversation.decode(greedy, 0);
      await pending.wait();
      pending = next;
    }
    const ms = performance.now() - startMs;
    collect();
    rows.push({
      bench: `${nTokens} tokens in a window of ${window}`,
      name: `to token ${(tenth + 1) * n}`,
      msPerToken: round(ms / n),
      dispatchesPerToken: (device.counts.dispatches - before.dispatches) / n,
      bytesPerToken: (device.counts.writtenBytes - before.writtenBytes) / n,
      gpuMiB: Number((Object.values(device.buffers.bytes()).reduce((a, b) => a + b, 0) / MIB).toFixed(3)),
      heapMiB: Number((process.memoryUsage().heapUsed / MIB).toFixed(2)),
    });
  }
  await pending.wait();
  const [second, last] = [rows[1]!, rows.at(-1)!];
  const same = (name: string) => {
    const ok = last[name] === second[name];
    return { name: `${name}, last tenth as the second`, value: Number(last[name]), bound: Number(second[name]), ok };
  };
  const growth = Number(last.heapMiB) - Number(second.heapMiB);
  return {
    rows,
    checks: [
      ...['dispatchesPerToken', 'bytesPerToken', 'gpuMiB'].map(same),
      { name: 'growth of the heap behind the second tenth, MiB', value: round(growth), bound: 1, ok: growth < 1 },
    ],
  };
}
