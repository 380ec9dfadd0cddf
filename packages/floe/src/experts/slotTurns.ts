import { turnOrAborted } from '../errors/index.ts';

/**
 * Who takes slots, one after the other: several of whom each had but some of what they want would wait for each other for
 * good. Who has all of them needs nobody to go on, and gives them back some time.
 */
export class SlotTurns {
  private last: Promise<void> = Promise.resolve();
  private wakes: (() => void)[] = [];

  /**
   * Resolves when all who came before have what they want; to be called when that is so of this one.
   * @throws {RequestError} `request/aborted`: it has no turn then.
   */
  async take(signal?: AbortSignal): Promise<() => void> {
    const before = this.last;
    let end = () => {};
    this.last = new Promise((resolve) => {
      end = resolve;
    });
    await turnOrAborted(before, end, signal);
    return end;
  }

  /** Resolves when `wake` is called next: a slot may be free then. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.wakes.push(resolve));
  }

  wake(): void {
    const { wakes } = this;
    this.wakes = [];
    for (const wake of wakes) wake();
  }
}
