/** The matrix kernels alone, in every format, against the adapter's ceilings. */
import { encode } from '@floe/testkit/encode';
import { seeded } from '@floe/testkit/seeded';
import { type BufferView, type Device, roundUp, whole } from '../packages/floe/src/gpu/index.ts';
import { type DenseMatrix, matmul } from '../packages/floe/src/kernels/index.ts';
import { type FormatName, formatByName, formats, planeBytes } from '../packages/floe/src/quant/index.ts';
import type { MeasuredCeilings } from './ceilings.ts';
import { jobsOf, noFault } from './graphs.ts';
import { type Row, round } from './report.ts';
import { bestMs } from './timing.ts';

interface Case {
  readonly kernel: 'matvec' | 'matmul';
  readonly format: FormatName;
  readonly T: number;
  readonly N: number;
  readonly K: number;
}

/** What a family of kernels is like is seen by these; each case compiles its own. */
const FEW: readonly FormatName[] = ['F32', 'Q8_0', 'Q4_0'];

function casesOf(names: readonly FormatName[]): Case[] {
  return names.flatMap((format): Case[] => [
    { kernel: 'matvec', format, T: 1, N: 1024, K: 4096 },
    { kernel: 'matmul', format, T: 64, N: 1024, K: 1024 },
  ]);
}

/** Every format on the first device, some on the others; a device's cases take turns. */
export async function benchKernels(devices: readonly Device[], ceilings: MeasuredCeilings): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [i, device] of devices.entries()) {
    const random = seeded('bench kernels');
    const fault = noFault(device);
    const made = [];
    for (const one of casesOf(i === 0 ? formats.map(({ name }) => name) : FEW)) {
      const { kernel, format, T, N, K } = one;
      const w = uploadMatrix(device, format, encode(format, random.normals(N * K, 0.1)), N, K);
      const x = upload(device, random.normals(T * K));
      const y = upload(device, new Float32Array(T * N));
      const { jobs } = await jobsOf(device, fault, (rec) => matmul(rec, { x, w, y, nTokens: T, stage: 0 }));
      made.push({ ...one, bytes: w.record.sizeBytes, job: { ...jobs[0]!, name: `${kernel} ${format}` } });
    }
    const best = await bestMs(
      device,
      made.map(({ job }) => job),
    );
    for (const { kernel, T, N, K, bytes, job } of made) {
      const { ms, cpuMs } = best.get(job.name)!;
      const flops = 2 * T * N * K;
      const [gbs, gflops] = [bytes / ms / 1e6, flops / ms / 1e6];
      rows.push({
        bench: 'kernels',
        name: job.name,
        family: device.family,
        shape: kernel === 'matvec' ? `${N}×${K}` : `${T}×${N}×${K}`,
        ms: round(ms),
        GBs: round(gbs),
        ofRead: round(gbs / ceilings.shown.readGBs),
        gflops: round(gflops),
        ofFma: round(gflops / ceilings.shown.gflops),
        // Where the adapter is software, the same shares by processor time, which hold on a busy machine.
        ...(device.adapter.software && {
          ofReadByCpuTime: round((bytes * ceilings.readCpuMsPerByte) / cpuMs),
          ofFmaByCpuTime: round((flops * ceilings.cpuMsPerFlop) / cpuMs),
        }),
      });
    }
  }
  return rows;
}

function upload(device: Device, values: Float32Array | Uint8Array): BufferView {
  const buffer = device.buffers.storage('other', 'bench', values.byteLength);
  device.write(buffer, 0, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return whole(buffer);
}

/** A matrix from a file's bytes, packed as the store packs it. */
function uploadMatrix(device: Device, format: FormatName, bytes: Uint8Array, nRows: number, K: number): DenseMatrix {
  const row = formatByName(format);
  const planes = planeBytes(row, nRows, K);
  const sideOffset = roundUp(planes.main, 256);
  const record = new Uint8Array(roundUp(sideOffset + planes.side, 256));
  const piece = (from: Uint8Array, size: number, i: number) =>
    from.subarray((i * size) / nRows, ((i + 1) * size) / nRows);
  for (let i = 0; i < nRows; i++) {
    const [main, side] = [piece(record, planes.main, i), piece(record.subarray(sideOffset), planes.side, i)];
    row.packRow(piece(bytes, bytes.length, i), main, side);
  }
  return { format, nRows, rowElements: K, mainOffset: 0, sideOffset, record: upload(device, record) };
}
