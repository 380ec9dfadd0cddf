/** For the store's tests: a host on fake storage and locks, and a small model file with everything a layout can have. */
import 'fake-indexeddb/auto';
import { IDBFactory } from 'fake-indexeddb';
import { abortedError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { nodeHost } from '../host/node.ts';
import { type FormatName, fileRowBytes, formatByName, planeBytes } from '../quant/index.ts';
import { FakeFiles } from './files.testing.ts';
import type { MatrixPlan, RecordPlan } from './record.ts';

/** The clock runs ten times as fast: a stall of 20 s takes 2 s. */
const SPEED = 10;
const TICK_MS = 5;

/** Where records lie: all in the database, or the larger ones in files (of the test model all but its vector). */
export const backends = [
  { backend: 'IndexedDB', makeFiles: () => null },
  { backend: 'files', makeFiles: () => new FakeFiles(1_000) },
];

export function testHost(overrides: Partial<Host> = {}): Host {
  return {
    ...nodeHost(null),
    indexedDB: new IDBFactory(),
    locks: fakeLocks(),
    openFile: null,
    clock: tickingClock,
    ...overrides,
  };
}

/** A clock that is told what time it is. */
class SetClock {
  nowMs = 0;
  readonly #sleepers = new Set<{ readonly atMs: number; readonly wake: () => void }>();
  readonly #onSleep: () => void;

  constructor(onSleep: () => void = () => undefined) {
    this.#onSleep = onSleep;
  }

  asClock(): Host['clock'] {
    const now = () => this.nowMs;
    return { now, epochMs: now, sleep: (ms, signal) => this.#sleep(ms, signal) };
  }

  /** When the next one wakes; undefined where nobody sleeps. */
  nextMs(): number | undefined {
    return this.#sleepers.size === 0 ? undefined : Math.min(...[...this.#sleepers].map(({ atMs }) => atMs));
  }

  setTo(nowMs: number): void {
    this.nowMs = nowMs;
    for (const { atMs, wake } of [...this.#sleepers]) if (atMs <= nowMs) wake();
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      if (signal?.aborted) return reject(abortedError(signal.reason));
      const end = () => {
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener('abort', onAbort);
      };
      const onAbort = () => {
        end();
        reject(abortedError(signal?.reason));
      };
      const wake = () => {
        end();
        resolve();
      };
      const sleeper = { atMs: this.nowMs + ms, wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', onAbort);
      this.#onSleep();
    });
  }
}

/** Counts turns of the event loop: on a busy machine time stands still for everyone, and nothing looks stalled. */
const tickingClock = ((): Host['clock'] => {
  const clock = new SetClock();
  setInterval(() => clock.setTo(clock.nowMs + TICK_MS * SPEED), TICK_MS).unref();
  return clock.asClock();
})();

/** Turns of the event loop in which what is under way gets on. */
const IDLE_TURNS = 10;

/** A clock that stands still while something happens, and then goes to the time of the next who sleeps. */
export function idleClock(): Host['clock'] {
  let timer: NodeJS.Timeout | null = null;
  const goOn = (turnsLeft = IDLE_TURNS): void => {
    if (timer) return;
    timer = setTimeout(() => {
      timer = null;
      if (turnsLeft > 1) return goOn(turnsLeft - 1);
      const nextMs = clock.nextMs();
      if (nextMs === undefined) return;
      clock.setTo(nextMs);
      goOn();
    }, 1);
  };
  const clock = new SetClock(() => goOn());
  return clock.asClock();
}

interface Request {
  readonly mode: 'shared' | 'exclusive';
  readonly grant: () => void;
}

/** Web Locks as far as the store uses them: exclusive and shared, `ifAvailable`, `signal`; first come, first served. */
export function fakeLocks(): LockManager {
  const held = new Map<string, Request[]>();
  const queues = new Map<string, Request[]>();
  const free = (name: string, mode: string) => {
    const holders = held.get(name) ?? [];
    return holders.length === 0 || (mode === 'shared' && holders.every((holder) => holder.mode === 'shared'));
  };
  const pump = (name: string) => {
    const queue = queues.get(name) ?? [];
    while (queue[0] && free(name, queue[0].mode)) {
      const request = queue.shift()!;
      held.set(name, [...(held.get(name) ?? []), request]);
      request.grant();
    }
  };
  const request = async (
    name: string,
    options: LockOptions,
    work: (lock: Lock | null) => unknown,
  ): Promise<unknown> => {
    const mode = options.mode ?? 'exclusive';
    const queue = queues.get(name) ?? [];
    queues.set(name, queue);
    if (options.ifAvailable && (queue.length > 0 || !free(name, mode))) return work(null);
    let mine: Request | undefined;
    await new Promise<void>((resolve, reject) => {
      mine = { mode, grant: resolve };
      queue.push(mine);
      options.signal?.addEventListener('abort', () => {
        const place = queue.indexOf(mine!);
        if (place >= 0) queue.splice(place, 1);
        reject(options.signal?.reason);
      });
      pump(name);
    });
    try {
      return await work({ name, mode });
    } finally {
      held.set(
        name,
        (held.get(name) ?? []).filter((holder) => holder !== mine),
      );
      pump(name);
    }
  };
  const locks = {
    request: (name: string, second: LockOptions | (() => unknown), third?: (lock: Lock | null) => unknown) =>
      typeof second === 'function' ? request(name, {}, second) : request(name, second, third!),
    query: async () => ({ held: [], pending: [] }),
  };
  return locks as LockManager;
}

export interface TestModel {
  readonly file: Uint8Array<ArrayBuffer>;
  readonly headerBytes: number;
  readonly plans: readonly RecordPlan[];
}

/**
 * A header of 3,000 bytes, then tensors with padding between: a float vector of odd length, a stack of two Q8_0
 * matrices that lie apart, and eight experts, each of three ranges in three merged Q4_0 tensors.
 */
export function testModel(seed = 1): TestModel {
  const headerBytes = 3_000;
  const nExperts = 8;
  let end = headerBytes;
  const tensor = (nBytes: number) => {
    const offset = Math.ceil(end / 32) * 32;
    end = offset + nBytes;
    return offset;
  };
  const plans: RecordPlan[] = [];
  const vector = tensor(45 * 4);
  plans.push(record('output_norm', [matrix('F32', 45, 1, [['output_norm', vector, 1]])]));
  const q = tensor(64 * q8RowBytes);
  const experts = ['ffn_down_exps', 'ffn_gate_exps', 'ffn_up_exps'].map((name) => ({
    name,
    offset: tensor(nExperts * expertBytes),
  }));
  // Nothing plans this one, nor the last: files have tensors that a model doesn't use.
  tensor(1_000);
  const k = tensor(32 * q8RowBytes);
  plans.push(
    record('blk.0.attn_qk', [
      matrix('Q8_0', 128, 96, [
        ['attn_q', q, 64],
        ['attn_k', k, 32],
      ]),
    ]),
  );
  const [down, gate, up] = experts.map(({ offset }) => offset) as [number, number, number];
  for (let expert = 0; expert < nExperts; expert++) {
    const at = expert * expertBytes;
    plans.push(
      record(`blk.0.expert.${expert}`, [
        matrix('Q4_0', 128, 128, [
          ['ffn_gate_exps', gate + at, 64],
          ['ffn_up_exps', up + at, 64],
        ]),
        matrix('Q4_0', 128, 64, [['ffn_down_exps', down + at, 64]]),
      ]),
    );
  }
  tensor(100);
  const file = new Uint8Array(end);
  let state = seed;
  for (let i = 0; i < end; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    // One bit of the exponent stays clear: whichever bytes become a scale, it is finite, as packing demands.
    file[i] = (state >>> 24) & 0xbf;
  }
  return { file, headerBytes, plans };
}

const q8RowBytes = (128 / 32) * 34;
const expertBytes = 64 * (128 / 32) * 18;

type Part = readonly [tensor: string, offset: number, nRows: number];

function matrix(formatName: FormatName, rowElements: number, nRows: number, parts: readonly Part[]) {
  const rowBytes = fileRowBytes(formatByName(formatName), rowElements);
  const sources = parts.map(([name, offset, rows]) => ({ tensor: name, offset, sizeBytes: rows * rowBytes }));
  return { format: formatName, nRows, rowElements, sources };
}

function record(key: string, matrices: readonly Omit<MatrixPlan, 'mainOffset' | 'sideOffset'>[]): RecordPlan {
  let sizeBytes = 0;
  const place = (nBytes: number) => {
    const offset = sizeBytes;
    sizeBytes = Math.ceil((offset + nBytes) / 256) * 256;
    return offset;
  };
  const placed = matrices.map((each) => {
    const { main, side } = planeBytes(formatByName(each.format), each.nRows, each.rowElements);
    return { ...each, mainOffset: place(main), sideOffset: place(side) };
  });
  return { key, sizeBytes, matrices: placed };
}
