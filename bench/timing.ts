/** How long GPU work takes, on a machine that others use too: the least of several repetitions, taken in turns. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Device } from '../packages/floe/src/gpu/index.ts';

/** Work that can be encoded any number of times into one pass. */
export interface Job {
  readonly name: string;
  readonly encode: (pass: GPUComputePassEncoder) => void;
}

/** One submit lasts about this long, so that its own cost is small beside it. */
const SUBMIT_MS = 12;
const MAX_COPIES = 2048;

/**
 * Of one run. `cpuMs` is what this process's other threads computed: on an adapter made of software it is the work
 * itself, whoever else computes on the machine. The main thread is left out, for it spins while it waits.
 */
export interface Time {
  readonly ms: number;
  readonly cpuMs: number;
}

export const NEVER: Time = { ms: Number.POSITIVE_INFINITY, cpuMs: Number.POSITIVE_INFINITY };

export function least(a: Time, b: Time): Time {
  return { ms: Math.min(a.ms, b.ms), cpuMs: Math.min(a.cpuMs, b.cpuMs) };
}

/** Least time of one run of each job. Jobs take turns, so that a disturbance meets them all and the least is without it. */
export async function bestMs(device: Device, jobs: readonly Job[], nRounds = 7): Promise<Map<string, Time>> {
  const copies = new Map<string, number>();
  for (const job of jobs) {
    await timeCopies(device, job, 1);
    const { ms } = await timeCopies(device, job, 2);
    copies.set(job.name, Math.min(MAX_COPIES, Math.max(1, Math.ceil(SUBMIT_MS / ms))));
  }
  const best = new Map<string, Time>();
  for (let round = 0; round < nRounds; round++) {
    for (const job of jobs) {
      const time = await timeCopies(device, job, copies.get(job.name)!);
      best.set(job.name, least(time, best.get(job.name) ?? NEVER));
    }
  }
  device.throwIfFailed();
  return best;
}

/** Time of one of `n` copies in one submit. */
export async function timeCopies(device: Device, job: Job, n: number): Promise<Time> {
  const encoder = device.gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let i = 0; i < n; i++) job.encode(pass);
  pass.end();
  const commands = encoder.finish();
  const startCpuMs = workerCpuMs();
  const startMs = performance.now();
  device.submit(commands);
  await device.gpu.queue.onSubmittedWorkDone();
  const ms = performance.now() - startMs;
  return { ms: ms / n, cpuMs: (workerCpuMs() - startCpuMs) / n };
}

/** Processor time of every thread but the main one, by Linux's account in ns; 0 elsewhere. */
export function workerCpuMs(): number {
  if (process.platform !== 'linux') return 0;
  let ns = 0;
  for (const thread of readdirSync('/proc/self/task')) {
    if (Number(thread) === process.pid) continue;
    try {
      ns += Number(readFileSync(`/proc/self/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // The thread ended between the listing and the reading.
    }
  }
  return ns / 1e6;
}
