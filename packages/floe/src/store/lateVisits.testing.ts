/** For tests of a model that answers before its download is done: visits to one server, with the experts coming later. */
import { type FaultServer, startFaultServer } from '@floe/testkit/faultServer';
import { afterEach, beforeEach, vi } from 'vitest';
import { abortedError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { sourcesOf } from './fetchPlan.ts';
import type { FakeFiles } from './files.testing.ts';
import { testHost, testModel } from './host.testing.ts';
import type { BackgroundProgress } from './notices.ts';
import { type OpenedWeights, type OpenWeightsOptions, openWeights } from './openWeights.ts';
import type { RecordPlan } from './record.ts';
import { type TestHeader, visitOptions } from './visit.testing.ts';

export const { file, headerBytes, plans } = testModel();
export const later = ({ key }: RecordPlan): boolean => key.includes('expert');
export const dense = plans.filter((plan) => !later(plan));
export const experts = plans.filter(later);
export const [first, second, third] = experts as [RecordPlan, RecordPlan, RecordPlan];
export const denseBytes = sum(dense, ({ sizeBytes }) => sizeBytes);
export const totalBytes = sum(plans, ({ sizeBytes }) => sizeBytes);
/** The first request of a visit, by `visitOptions`. */
export const PROBE_BYTES = 4_096;

export function sum<T>(all: readonly T[], of: (each: T) => number): number {
  return all.reduce((total, each) => total + of(each), 0);
}

/** Whether a range has bytes of a record. */
export const touches =
  (plan: RecordPlan) =>
  (range: readonly [number, number]): boolean =>
    sourcesOf(plan).some(({ offset, sizeBytes }) => range[0] < offset + sizeBytes && offset <= range[1]);

type Options = Partial<OpenWeightsOptions<TestHeader>>;

/** A server and a host, new for each test, and the visits made there, which are closed behind it. */
export class LateVisits {
  server!: FaultServer;
  host!: Host;
  private open: OpenedWeights<TestHeader>[] = [];

  /** To be made in a `describe`. */
  constructor(makeFiles: () => FakeFiles | null) {
    beforeEach(async () => {
      this.server = await startFaultServer(file);
      this.host = testHost({ files: makeFiles() });
      this.open = [];
    });
    afterEach(async () => {
      vi.restoreAllMocks();
      await Promise.all(this.open.map(({ weights }) => weights.close()));
      await this.server[Symbol.asyncDispose]();
    });
  }

  async visit(more: Options = {}, on: Host = this.host): Promise<OpenedWeights<TestHeader>> {
    const opened = await openWeights(on, this.server.url, { ...visitOptions, later, background: 'off', ...more });
    this.keep(opened);
    return opened;
  }

  /** Closes it behind the test. */
  keep(opened: OpenedWeights<TestHeader>): void {
    this.open.push(opened);
  }

  async end(opened: OpenedWeights<TestHeader>): Promise<void> {
    this.open = this.open.filter((other) => other !== opened);
    await opened.weights.close();
  }

  /** Opens with the background on, and waits until it has stored `nBytes`. */
  async backgroundVisit(nBytes = totalBytes, more: Options = {}, on: Host = this.host) {
    const steps: BackgroundProgress[] = [];
    let opened: OpenedWeights<TestHeader> | undefined;
    await new Promise<void>((resolve, reject) => {
      const onBackground = (step: BackgroundProgress) => {
        steps.push(step);
        if (step.storedBytes >= nBytes) resolve();
      };
      this.visit({ background: 'on', onBackground, ...more }, on).then((done) => {
        opened = done;
        if (done.weights.storedBytes >= nBytes) resolve();
      }, reject);
    });
    await vi.waitUntil(() => opened);
    return { opened: opened!, steps };
  }

  /** The host, and each range that is asked for through it, as it is asked for. */
  asking(): { readonly asked: (readonly [number, number])[]; readonly on: Host } {
    const { host } = this;
    const asked: (readonly [number, number])[] = [];
    const fetch: Host['fetch'] = (url, init) => {
      asked.push(rangeOf(init));
      return host.fetch(url, init);
    };
    return { asked, on: { ...host, fetch } };
  }

  askedRanges(): [number, number][] {
    return this.server.requests.map(({ range }) => range as [number, number]);
  }
}

/** What a request asks for. */
function rangeOf(init: RequestInit | undefined): readonly [number, number] {
  const [begin, last] = new Headers(init?.headers).get('Range')!.slice('bytes='.length).split('-').map(Number);
  return [begin!, last!];
}

export function gone(): Promise<Response> {
  return Promise.reject(new TypeError('fetch failed'));
}

/** Pauses before another try pass in a moment; deadlines do not. */
export function hasty(slow: Host): Host {
  let skippedMs = 0;
  const sleep = async (ms: number, signal?: AbortSignal) => {
    if (ms === 20_000 || ms === 5_000) return slow.clock.sleep(ms, signal);
    if (signal?.aborted) throw abortedError();
    skippedMs += ms;
    await new Promise((resolve) => setTimeout(resolve));
  };
  return { ...slow, clock: { ...slow.clock, now: () => slow.clock.now() + skippedMs, sleep } };
}
