/**
 * Finds stop strings in a text that arrives in pieces. What might be the beginning of one is held back, so that no
 * part of a stop string is ever given out, wherever the borders of the pieces fall.
 */
export class StopMatcher {
  #held = '';

  constructor(private readonly stops: readonly string[]) {}

  /** The text that is certain now; `stopped` once a stop string was met, whose text and what follows are dropped. */
  push(piece: string): { text: string; stopped: boolean } {
    const text = this.#held + piece;
    const found = this.stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.#held = '';
      return { text: text.slice(0, Math.min(...found)), stopped: true };
    }
    const keep = Math.max(0, ...this.stops.map((stop) => longestOverlap(text, stop)));
    this.#held = text.slice(text.length - keep);
    return { text: text.slice(0, text.length - keep), stopped: false };
  }

  /** What was held back, at the end. */
  flush(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }
}

/** The length of the longest end of `text` that begins `stop`. */
function longestOverlap(text: string, stop: string): number {
  for (let n = Math.min(stop.length - 1, text.length); n > 0; n--) {
    if (text.endsWith(stop.slice(0, n))) return n;
  }
  return 0;
}
