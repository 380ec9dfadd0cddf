/** Records for whoever loads them, wherever they lie. */

import type { Clock } from '../host/index.ts';
import { absentIfUnreachable } from './arrival.ts';
import { Arrivals } from './arrivals.ts';
import { fetchFromStream, fetchRecord } from './fetchRecords.ts';
import type { BackgroundProgress, StoreNotice } from './notices.ts';
import { packRecord } from './pack.ts';
import type { RecordPlan } from './record.ts';
import type { ByteSource } from './source.ts';

/** What an answer waits for, or a guess at what it will ask for next, which never delays the first. */
export type Urgency = 'demand' | 'ahead';

/** The one interface by which a model reads its weights. */
export interface WeightSource {
  /**
   * The packed record, `plan.sizeBytes` long: the caller's to keep and to read, but not to change or to transfer, for
   * others may read it too, or it may be on its way into the store. `urgency` is 'demand' by itself.
   * @throws {StoreError} `store/corrupt`: it was stored, is damaged, and can't be fetched again now.
   * @throws {ExpertsError} `experts/absent`: it is not here yet and can't be fetched now; later it may be. `cause` says
   *   why. Of a record that was not to come later it is the `NetError` itself.
   */
  readonly read: (plan: RecordPlan, signal?: AbortSignal, urgency?: Urgency) => Promise<Uint8Array>;
  /** Whether the record lies in storage, in memory or in a local file: reading it needs no network. */
  readonly isNear: (plan: RecordPlan) => boolean;
  /** SHA-256 of the record, where it is stored; absent where nothing is. */
  readonly sha256Of?: (plan: RecordPlan) => Uint8Array | undefined;
  /** Bytes of the file that came over the network since it was opened, header included. Grows. */
  readonly fetchedBytes: number;
  /** Of this model in the origin's storage; 0 where it is read in place. Grows while records arrive. */
  readonly storedBytes: number;
  /** Grows while records are read. */
  readonly notices: readonly StoreNotice[];
  /** What the last visit left for this one, and what this one leaves; absent where nothing is stored. */
  readonly lastVisit?: Float32Array | undefined;
  readonly remember?: (visit: Float32Array) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** What of a model need not be here before it is used, and how it comes. */
export interface LateOptions {
  /**
   * Records that need not be here when the weights are opened: they are fetched when they are read, and in the
   * background. Without effect where all of the file must come first: its hash is checked, or the server has no ranges.
   */
  readonly later?: (plan: RecordPlan) => boolean;
  /** 'off': what comes later is fetched only when it is read. 'on' by itself. */
  readonly background?: 'on' | 'off';
  /** Which of the missing records the background fetches next: one of those given. By itself the first. */
  readonly order?: (missing: readonly RecordPlan[]) => RecordPlan | undefined;
  /** The most that this model may take in storage. Records beyond are fetched each time they are read. */
  readonly storageBytes?: number;
  /** Hears at first that some are missing, then each time that some were stored, by whomever they were asked for. */
  readonly onBackground?: (progress: BackgroundProgress) => void;
  /** The most that one request asks for; 8 MiB by itself, 4 MiB in the background, all of a range when it is read. */
  readonly rangeBytes?: number;
}

/** Records packed as they are read, from a source that is as near as the store would be. */
export function localWeights(source: ByteSource): WeightSource {
  return {
    storedBytes: 0,
    fetchedBytes: 0,
    isNear: () => true,
    notices: [],
    read: (plan, signal) => packRecord(plan, (offset, length) => source.read(offset, length, signal)),
    close: () => source.close(),
  };
}

/** Norms and the like, one of which is read twice: not worth a second request, let alone a second pass over a stream. */
const SMALL_BYTES = 1 << 20;

/**
 * Records of a remote source where nothing can be stored. By ranges each is fetched when it is read. A stream is one
 * pass over the file, so all of it is held then; a record is let go as it is handed out, for the GPU has it from there.
 * One that is read again is fetched again. What comes `later` is fetched by urgency, and given up sooner.
 */
export async function memoryWeights(
  source: ByteSource,
  plans: readonly RecordPlan[],
  options: {
    readonly signal?: AbortSignal | undefined;
    readonly notices: readonly StoreNotice[];
    readonly clock: Clock;
    readonly later?: LateOptions['later'] | undefined;
    readonly onBytes?: (n: number) => void;
    readonly onPiece?: (bytes: Uint8Array) => void;
  },
): Promise<WeightSource> {
  const held = new Map<string, Uint8Array>();
  const { clock, later } = options;
  const arrivals = new Arrivals({ clock, source: async () => source, keep: () => false });
  if (!source.ranges) {
    const { signal, onBytes, onPiece } = options;
    for await (const records of fetchFromStream(source, plans, { signal, onBytes, onPiece })) {
      for (const { plan, bytes } of records) held.set(plan.key, bytes);
    }
  }
  return {
    storedBytes: 0,
    get fetchedBytes() {
      return source.fetchedBytes;
    },
    isNear: ({ key }) => held.has(key),
    notices: options.notices,
    read: async (plan, signal, urgency = 'demand') => {
      const known = held.get(plan.key);
      if (!known && source.ranges && later?.(plan)) {
        return arrivals.fetch(plan, urgency, signal).catch((error: unknown) => {
          throw absentIfUnreachable(source.name, plan, error);
        });
      }
      if (!known) return fetchRecord(source, plan, { signal });
      if (known.length > SMALL_BYTES) held.delete(plan.key);
      return known;
    },
    close: async () => {
      held.clear();
      arrivals.close();
      await source.close();
    },
  };
}
