/** Bytes per second over the last two seconds of one phase: steady enough to read, quick to see a stall. */
const WINDOW_MS = 2000;

export class Rate {
  #phase = '';
  #samples: { readonly at: number; readonly loaded: number }[] = [];

  /** The rate after `loaded` bytes of a phase at a time in milliseconds; 0 while there is nothing to compare with. */
  at(phase: string, loaded: number, now: number): number {
    if (phase !== this.#phase) this.#samples = [];
    this.#phase = phase;
    this.#samples.push({ at: now, loaded });
    this.#samples = this.#samples.filter(({ at }) => now - at <= WINDOW_MS);
    const first = this.#samples[0]!;
    return now > first.at ? ((loaded - first.loaded) * 1000) / (now - first.at) : 0;
  }
}
