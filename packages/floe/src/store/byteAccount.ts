/** Bytes that are held for a while on their way from somewhere to somewhere, counted. */
export class ByteAccount {
  readonly limitBytes: number;
  #heldBytes = 0;
  #peakBytes = 0;
  #hear: () => void = () => undefined;

  /** `limitBytes` binds nobody by itself: who takes looks first. */
  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The most that was held at once. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  take(nBytes: number): void {
    this.#heldBytes += nBytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#heldBytes);
  }

  give(nBytes: number): void {
    this.#heldBytes -= nBytes;
    if (nBytes > 0) this.#hear();
  }

  /** `hear` is called whenever bytes were given back. One listener, the last. */
  onGiven(hear: () => void): void {
    this.#hear = hear;
  }
}
