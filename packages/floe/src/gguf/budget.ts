import type { Clock } from '../host/index.ts';
import { invalid } from './fail.ts';
import { limits, MIB } from './limits.ts';

/** Asking the clock for each value would cost more than reading it. */
const STEPS_PER_LOOK = 4096;

/** What one parse may spend. Files within every other limit can still be made to take gigabytes and minutes. */
export class Budget {
  #steps = 0;
  #memoryBytes = 0;
  readonly #deadline: number;

  constructor(readonly clock: Pick<Clock, 'now'> | undefined) {
    this.#deadline = (clock?.now() ?? 0) + limits.parseMs;
  }

  /** Counts a value that was read and the bytes it takes in memory, at the most. */
  spend(memoryBytes: number): void {
    this.#steps++;
    this.#memoryBytes += memoryBytes;
    if (this.#memoryBytes > limits.memoryBytes) {
      throw tooMuch(`its header takes over ${limits.memoryBytes / MIB} MiB of memory`);
    }
    if (this.#steps > limits.steps) throw tooMuch(`its header has over ${limits.steps} values`);
    if (this.clock && this.#steps % STEPS_PER_LOOK === 0 && this.clock.now() > this.#deadline) {
      throw tooMuch(`its header was not read within ${limits.parseMs} ms`);
    }
  }
}

function tooMuch(what: string) {
  return invalid(
    `Reading the file was given up: ${what}.`,
    { what },
    'No model is known that needs as much. Take the file from a source you trust.',
  );
}
