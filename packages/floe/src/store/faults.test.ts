/** Whatever call to the outside fails, once or from then on, the answer is right or a typed error, and the next visit heals. */
import { type FaultServer, startFaultServer } from '@floe/testkit/faultServer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FloeError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { FakeFiles } from './files.testing.ts';
import { backends, testHost, testModel } from './host.testing.ts';
import { openWeights } from './openWeights.ts';
import { packRecord } from './pack.ts';
import { filesOf } from './visit.testing.ts';

const { file, headerBytes, plans } = testModel();
let server: FaultServer;
beforeAll(async () => {
  server = await startFaultServer(file);
});
afterAll(() => server[Symbol.asyncDispose]());

/** Opens the model and reads all of it, downloaded before or as it is read; throws on a wrong byte. */
async function visit(host: Host, late: boolean): Promise<void> {
  const opened = await openWeights(host, server.url, {
    readHeader: async (source, signal) => {
      await source.read(0, headerBytes, signal);
      return { headerBytes };
    },
    makePlans: () => plans,
    probeBytes: 4_096,
    rangeBytes: 16_384,
    // The background would call in another order each time.
    ...(late ? { later: ({ key }) => key.includes('expert'), background: 'off' } : {}),
  });
  try {
    for (const plan of plans) {
      const expected = await packRecord(plan, async (offset, length) => file.subarray(offset, offset + length));
      expect(Buffer.compare(await opened.weights.read(plan), expected), plan.key).toBe(0);
    }
  } finally {
    await opened.weights.close();
  }
}

/** A host whose calls count together, and fail from the `nth` on, `times` of them. Each fails as the platform's does. */
function failing(host: Host, nth: number, times: number): { host: Host; count: () => number } {
  let nCalls = 0;
  const due = () => ++nCalls >= nth && nCalls < nth + times;
  const databases = new WeakSet<IDBDatabase>();
  const failTransactions = (db: IDBDatabase) => {
    if (databases.has(db)) return;
    databases.add(db);
    const transaction = db.transaction.bind(db);
    db.transaction = (...args) => {
      if (due()) throw new DOMException('The database connection is closing.', 'InvalidStateError');
      const tx = transaction(...args);
      // The transaction dies after its requests, as when the connection is lost.
      if (due()) queueMicrotask(() => tx.abort());
      return tx;
    };
  };
  const indexedDB = {
    open: (name: string, version: number) => {
      if (due()) throw new DOMException('Internal error opening backing store for indexedDB.open.', 'UnknownError');
      const request = host.indexedDB!.open(name, version);
      request.addEventListener('success', () => failTransactions(request.result));
      return request;
    },
  } as IDBFactory;
  // A tab of its own on the same files.
  const files = filesOf(host) && Object.assign(new FakeFiles(1_000), { contents: filesOf(host)!.contents });
  if (files) {
    files.faults.onCall = (what) => {
      if (due()) throw new DOMException(`${what} failed`, FILE_ERRORS[nCalls % FILE_ERRORS.length]);
    };
  }
  return {
    count: () => nCalls,
    host: {
      ...host,
      files,
      indexedDB,
      fetch: (url, init) => (due() ? Promise.reject(new TypeError('fetch failed')) : host.fetch(url, init)),
    },
  };
}

/** A handle taken by another, a file or a folder that is gone, and whatever else. */
const FILE_ERRORS = ['NoModificationAllowedError', 'NotFoundError', 'UnknownError'];

/** Of a stalled body and a blocked database: sleeps that must not end at once. */
const DEADLINES_MS = [20_000, 5_000];

const cases = backends.flatMap((backend) => [
  { ...backend, order: 'all first', late: false },
  { ...backend, order: 'what comes later as it is read', late: true },
]);

describe.each(cases)('the nth call fails: records in $backend, $order', ({ makeFiles, late }) => {
  // The clock of these visits flies: what counts is what happens, not how long the pauses are.
  const hastyHost = () => {
    const host = testHost({ files: makeFiles() });
    let skippedMs = 0;
    const sleep = async (ms: number, signal?: AbortSignal) => {
      if (DEADLINES_MS.includes(ms)) return host.clock.sleep(ms, signal);
      skippedMs += ms;
    };
    return { ...host, clock: { ...host.clock, now: () => host.clock.now() + skippedMs, sleep } };
  };

  it('once: the visit succeeds all the same, for every n', async () => {
    const counting = failing(hastyHost(), Number.POSITIVE_INFINITY, 0);
    await visit(counting.host, late);
    for (let n = 1; n <= counting.count(); n++) {
      const host = hastyHost();
      await expect(visit(failing(host, n, 1).host, late), `call ${n} of ${counting.count()}`).resolves.toBeUndefined();
    }
  });

  it('and all after it: the error is typed, and a visit on a sound host heals, for every n', async () => {
    const counting = failing(hastyHost(), Number.POSITIVE_INFINITY, 0);
    await visit(counting.host, late);
    for (let n = 1; n <= counting.count(); n += 2) {
      const host = hastyHost();
      const error = await visit(failing(host, n, Number.POSITIVE_INFINITY).host, late).catch(
        (thrown: unknown) => thrown,
      );
      if (error !== undefined) {
        expect(error, `call ${n}`).toBeInstanceOf(FloeError);
        expect((error as FloeError).code, `call ${n}: ${error}`).toMatch(/^(net|store|experts)\//);
      }
      await expect(visit(host, late), `after call ${n}`).resolves.toBeUndefined();
    }
  });
});
