/** What the adapter can do at best, measured in the same run as what is held against it. */
import { type Device, readBuffer } from '../packages/floe/src/gpu/index.ts';
import { type Ceilings, round } from './report.ts';
import { bestMs, type Job, least } from './timing.ts';

const READ_BYTES = 64 << 20;
const READ_THREADS = 4096;
const FMA_THREADS = 8192;
const FMA_ROUNDS = 64;
/** Multiply-adds count twice: 4 chains of 4 lanes, 4 steps a round. */
const FMA_FLOPS = FMA_THREADS * FMA_ROUNDS * 4 * 4 * 4 * 2;

/** Each invocation sums every `step`-th vector: neighbours read neighbours (GPUs), or each its own stretch (CPUs). */
function readShader(coalesced: boolean): string {
  const perThread = READ_BYTES / 16 / READ_THREADS;
  const at = (i: string) => (coalesced ? `(${i}) * ${READ_THREADS}u + id.x` : `id.x * ${perThread}u + ${i}`);
  return `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>;
@compute @workgroup_size(32) fn main(@builtin(global_invocation_id) id: vec3u) {
  var a = vec4f(); var b = vec4f(); var c = vec4f(); var d = vec4f();
  for (var i = 0u; i < ${perThread}u; i += 4u) {
    a += source[${at('i')}]; b += source[${at('i + 1u')}]; c += source[${at('i + 2u')}]; d += source[${at('i + 3u')}];
  }
  sums[id.x] = (a + b) + (c + d);
}`;
}

/** Four independent chains: a dependent one shows latency, half of what there is. */
const FMA_SHADER = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>;
@compute @workgroup_size(32) fn main(@builtin(global_invocation_id) id: vec3u) {
  let m = source[id.x]; let n = source[id.x + 1u];
  var a = m; var b = n; var c = m + n; var d = m - n;
  for (var i = 0u; i < ${FMA_ROUNDS}u; i++) {
${'    a = fma(a, m, n); b = fma(b, m, n); c = fma(c, m, n); d = fma(d, m, n);\n'.repeat(4)}
  }
  sums[id.x] = (a + b) + (c + d);
}`;

const NOTHING_SHADER = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>;
@compute @workgroup_size(1) fn main() { sums[0] = source[0]; }`;

/** The ceilings as they are printed, and what they cost in processor time, for shares that hold on a busy machine. */
export interface MeasuredCeilings {
  readonly shown: Ceilings;
  readonly readCpuMsPerByte: number;
  readonly cpuMsPerFlop: number;
}

export async function measureCeilings(device: Device): Promise<MeasuredCeilings> {
  const source = device.buffers.storage('other', 'ceiling source', READ_BYTES);
  const sums = device.buffers.storage('other', 'ceiling sums', FMA_THREADS * 16);
  const job = async (name: string, code: string, workgroups: number): Promise<Job> => {
    const module = device.gpu.createShaderModule({ code });
    const pipeline = await device.gpu.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    const entries = [source, sums].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const group = device.gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    return {
      name,
      encode: (pass) => {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(workgroups);
      },
    };
  };
  const jobs = [
    await job('read', readShader(true), READ_THREADS / 32),
    await job('read stretches', readShader(false), READ_THREADS / 32),
    await job('fma', FMA_SHADER, FMA_THREADS / 32),
    await job('nothing', NOTHING_SHADER, 1),
  ];
  const best = await bestMs(device, jobs);
  let readBackMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 20; i++) {
    const startMs = performance.now();
    await readBuffer(device, sums, 0, 4);
    readBackMs = Math.min(readBackMs, performance.now() - startMs);
  }
  device.buffers.destroy(source);
  device.buffers.destroy(sums);
  const [read, fma] = [least(best.get('read')!, best.get('read stretches')!), best.get('fma')!];
  return {
    shown: {
      readGBs: round(READ_BYTES / read.ms / 1e6),
      gflops: round(FMA_FLOPS / fma.ms / 1e6),
      dispatchUs: round(best.get('nothing')!.ms * 1000),
      readBackMs: round(readBackMs),
    },
    readCpuMsPerByte: read.cpuMs / READ_BYTES,
    cpuMsPerFlop: fma.cpuMs / FMA_FLOPS,
  };
}
