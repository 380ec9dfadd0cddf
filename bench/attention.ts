/** Attention alone: a token over a long cache, by how fast it reads it, and a prompt, by its arithmetic. */
import { seeded } from '@floe/testkit/seeded';
import { type BufferView, type Device, Recorder, whole } from '../packages/floe/src/gpu/index.ts';
import { type AttentionShape, attention, type KvFormatName, partialBytes } from '../packages/floe/src/kernels/index.ts';
import { KvPool, type KvWindow } from '../packages/floe/src/kv/index.ts';
import { rowStride } from '../packages/floe/src/quant/index.ts';
import type { MeasuredCeilings } from './ceilings.ts';
import { noFault } from './graphs.ts';
import { type Row, round } from './report.ts';
import { bestMs, type Job } from './timing.ts';

const DECODE_KEYS = 4096;
const PROMPT_TOKENS = 2048;
const CHUNK_TOKENS = 128;
/** Arctic's: 7 query heads share a kv head. */
const decodeShape: AttentionShape = { nHeads: 56, nKvHeads: 8, headDim: 128, valueDim: 128 };
const promptShape: AttentionShape = { nHeads: 8, nKvHeads: 2, headDim: 64, valueDim: 64 };

/** Rows for each family and format; what is read and computed is what the formula wants, not what the kernel does. */
export async function benchAttention(devices: readonly Device[], ceilings: MeasuredCeilings): Promise<Row[]> {
  const rows: Row[] = [];
  for (const device of devices) {
    const cases = [
      ...(await Promise.all((['F32', 'F16', 'Q8_0'] as const).map((format) => decode(device, format)))),
      await prompt(device),
    ];
    const best = await bestMs(
      device,
      cases.map(({ job }) => job),
      5,
    );
    for (const { job, bytes, flops, release } of cases) {
      const { ms, cpuMs } = best.get(job.name)!;
      rows.push({
        bench: 'attention',
        name: job.name,
        family: device.family,
        ms: round(ms),
        GBs: round(bytes / ms / 1e6),
        ofRead: round(bytes / ms / 1e6 / ceilings.shown.readGBs),
        gflops: round(flops / ms / 1e6),
        ofFma: round(flops / ms / 1e6 / ceilings.shown.gflops),
        ...(device.adapter.software && {
          ofReadByCpuTime: round((bytes * ceilings.readCpuMsPerByte) / cpuMs),
          ofFmaByCpuTime: round((flops * ceilings.cpuMsPerFlop) / cpuMs),
        }),
      });
      release();
    }
  }
  return rows;
}

interface Case {
  readonly job: Job;
  /** Of keys and values that are seen, each once. */
  readonly bytes: number;
  readonly flops: number;
  readonly release: () => void;
}

async function decode(device: Device, format: KvFormatName): Promise<Case> {
  const window = { window: DECODE_KEYS, nSinks: 4, slides: true, chunkTokens: CHUNK_TOKENS };
  // Far behind the first key that was dropped.
  const made = await record(device, decodeShape, format, window, [[10 * DECODE_KEYS + 77]]);
  const { nHeads, nKvHeads, headDim, valueDim } = decodeShape;
  const bytes = (DECODE_KEYS / 32) * made.blockBytes;
  const flops = 2 * DECODE_KEYS * nHeads * (headDim + valueDim);
  const name = `decode ${DECODE_KEYS} keys ${format}, ${nHeads}/${nKvHeads} heads of ${headDim}`;
  return { job: { name, encode: made.encode }, bytes, flops, release: made.release };
}

async function prompt(device: Device): Promise<Case> {
  const window = { window: PROMPT_TOKENS, nSinks: 4, slides: false, chunkTokens: CHUNK_TOKENS };
  const chunks = Array.from({ length: PROMPT_TOKENS / CHUNK_TOKENS }, (_, i) =>
    Array.from({ length: CHUNK_TOKENS }, (_, j) => i * CHUNK_TOKENS + j),
  );
  const made = await record(device, promptShape, 'F16', window, chunks);
  const { nHeads, nKvHeads, headDim, valueDim } = promptShape;
  const nPairs = (PROMPT_TOKENS * (PROMPT_TOKENS + 1)) / 2;
  const flops = 2 * nPairs * nHeads * (headDim + valueDim);
  const name = `prefill ${PROMPT_TOKENS} tokens F16, ${nHeads}/${nKvHeads} heads of ${headDim}`;
  const bytes = (PROMPT_TOKENS / 32) * made.blockBytes;
  return { job: { name, encode: made.encode }, bytes, flops, release: made.release };
}

/** One dispatch, or two, for each step of tokens at some positions; all in one graph. */
async function record(
  device: Device,
  shape: AttentionShape,
  format: KvFormatName,
  window: KvWindow,
  steps: readonly (readonly number[])[],
) {
  const pool = new KvPool(device, { nLayers: 1, ...shape }, format, window);
  pool.writeTable(
    0,
    Uint32Array.from({ length: pool.geometry.tableBlocks }, (_, block) => block),
  );
  const random = seeded('bench attention');
  // Bytes below 0x40 are sound numbers in every format.
  device.write(
    pool.buffer(0),
    0,
    random.bytes(pool.buffer(0).size).map((byte) => byte & 0x3f),
  );
  const rec = new Recorder(device, noFault(device));
  const buffers: BufferView[] = [];
  const make = (name: string, sizeBytes: number) => {
    const view = whole(device.buffers.storage('other', name, sizeBytes));
    buffers.push(view);
    return view;
  };
  const [qStride, yStride] = [rowStride(shape.nHeads * shape.headDim), rowStride(shape.nHeads * shape.valueDim)];
  const nMost = Math.max(...steps.map(({ length }) => length));
  const [q, y] = [make('q', nMost * 2 * qStride * 4), make('y', nMost * yStride * 4)];
  device.write(q.buffer, 0, new Uint8Array(random.normals(nMost * 2 * qStride).buffer));
  const nPartialBytes = partialBytes(shape, window, nMost);
  const partials = nPartialBytes === 0 ? null : make('partials', nPartialBytes);
  for (const positions of steps) {
    const places = make('places', positions.length * 8);
    const values = Uint32Array.from(positions.flatMap((position) => [position, 0]));
    device.write(places.buffer, 0, new Uint8Array(values.buffer));
    const step = { nTokens: positions.length, qStride, yStride, stage: 0 };
    attention(rec, { ...step, ...window, shape, q, y, partials, kv: pool.layer(0, places) });
  }
  const graph = await rec.finish('attention');
  return {
    blockBytes: pool.blockBytes,
    encode: (pass: GPUComputePassEncoder) => graph.encodePart(pass, 0, graph.steps.length),
    release: () => {
      graph.destroy();
      pool.destroy();
      for (const { buffer } of buffers) device.buffers.destroy(buffer);
    },
  };
}
