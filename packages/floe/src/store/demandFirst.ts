/** Guesses at what will be read next give way to what is read now. */
import { orAborted } from '../errors/index.ts';
import type { Urgency } from './weights.ts';

/** Reads of the store, of which guesses begin only while nothing is demanded. */
export class DemandFirst {
  #nDemands = 0;
  #calm: { promise: Promise<void>; resolve: () => void } | null = null;

  async run<T>(urgency: Urgency, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    if (urgency === 'ahead') {
      while (this.#calm) await orAborted(this.#calm.promise, signal);
      return work();
    }
    this.#nDemands++;
    this.#calm ??= deferred();
    try {
      return await work();
    } finally {
      if (--this.#nDemands === 0) {
        this.#calm?.resolve();
        this.#calm = null;
      }
    }
  }
}

function deferred() {
  let resolve = () => {};
  const promise = new Promise<void>((yes) => {
    resolve = yes;
  });
  return { promise, resolve };
}
