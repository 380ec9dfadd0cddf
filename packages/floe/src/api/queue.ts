import { RequestError } from '../errors/index.ts';

/** Calls on one model take turns, in order; a model has one cache. */
export class TurnQueue {
  private tail: Promise<void> = Promise.resolve();
  private waiting = 0;

  constructor(private readonly limit = 64) {}

  /** Resolves when it is this call's turn, with the function that ends it. */
  async enter(): Promise<() => void> {
    if (this.waiting >= this.limit) {
      throw new RequestError('request/busy', `${this.waiting} calls wait for this model already.`, {
        remedy: 'Wait for some of them, or abort them.',
        retryable: true,
        details: { waiting: this.waiting },
      });
    }
    this.waiting++;
    let leave = () => {};
    const before = this.tail;
    this.tail = new Promise((resolve) => {
      leave = resolve;
    });
    await before;
    return () => {
      this.waiting--;
      leave();
    };
  }
}
