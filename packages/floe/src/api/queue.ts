import { RequestError, turnOrAborted } from '../errors/index.ts';

/** Calls on one model are let in one after another, in their order. */
export class TurnQueue {
  private tail: Promise<void> = Promise.resolve();
  private waiting = 0;

  constructor(private readonly limit = 64) {}

  /**
   * Resolves when it is this call's turn, with the function that ends it. A call whose signal fires before leaves the
   * queue at once.
   *
   * @throws {RequestError} `request/busy`: too many wait already. `request/aborted`.
   */
  async enter(signal?: AbortSignal): Promise<() => void> {
    if (this.waiting >= this.limit) {
      throw new RequestError('request/busy', `${this.waiting} calls wait for this model already.`, {
        remedy: 'Wait for some of them, or abort them.',
        retryable: true,
        details: { waiting: this.waiting },
      });
    }
    this.waiting++;
    let endTurn = () => {};
    const before = this.tail;
    this.tail = new Promise((resolve) => {
      endTurn = resolve;
    });
    const leave = () => {
      this.waiting--;
      endTurn();
    };
    await turnOrAborted(before, leave, signal);
    return leave;
  }

  /** Resolves when all that wait now have had their turn. */
  async idle(): Promise<void> {
    await this.tail;
  }
}
