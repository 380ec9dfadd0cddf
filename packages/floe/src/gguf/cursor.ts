import type { Budget } from './budget.ts';
import { invalid, truncated } from './fail.ts';
import { limits, MIB } from './limits.ts';

/**
 * More of the file is needed: `bytes` from its start. Thrown by the cursor and caught in `parseHeader` alone, which
 * returns it as a value; so the code between reads straight on, and no caller ever sees an exception that is no error.
 */
export class NeedMore {
  constructor(readonly bytes: number) {}
}

// ignoreBOM: a token may be the byte order mark itself, which a decoder otherwise swallows.
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

/** Reads a header from its start. Never reads behind the bytes received, nor behind the file's end. */
export class Cursor {
  #at = 0;
  readonly #view: DataView;

  constructor(
    readonly bytes: Uint8Array,
    readonly fileSize: number,
    readonly budget: Budget,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get at(): number {
    return this.#at;
  }

  /** Bytes of the file behind here, received or not. */
  get left(): number {
    return this.fileSize - this.#at;
  }

  /** Steps over `length` bytes of `what` and returns where they start. */
  take(length: number, what: string): number {
    const at = this.#at;
    const end = at + length;
    if (end > this.fileSize) throw truncated(what, end, this.fileSize, at);
    if (end > limits.headerBytes) {
      throw invalid(`${what} at byte ${at} would make the header longer than ${limits.headerBytes / MIB} MiB.`, {
        offset: at,
        needBytes: end,
        limitBytes: limits.headerBytes,
      });
    }
    if (end > this.bytes.length) throw new NeedMore(end);
    this.#at = end;
    return at;
  }

  u8(what: string): number {
    return this.#view.getUint8(this.take(1, what));
  }

  u32(what: string): number {
    return this.#view.getUint32(this.take(4, what), true);
  }

  u64(what: string): bigint {
    return this.#view.getBigUint64(this.take(8, what), true);
  }

  /** A count or length of at most `limit`; a larger one throws before anything is done with it. */
  count(what: string, limit: number): number {
    const at = this.#at;
    const count = this.u64(what);
    if (count > BigInt(limit)) {
      throw invalid(`${what} at byte ${at} is ${count}; at most ${limit} is possible here.`, {
        what,
        offset: at,
        found: String(count),
        limit,
      });
    }
    return Number(count);
  }

  /** Where a string's bytes lie; the cursor is behind them afterwards. */
  #stringBytes(what: string, limitBytes: number): Uint8Array {
    const length = this.count(`the length of ${what}`, limitBytes);
    const at = this.take(length, what);
    return this.bytes.subarray(at, at + length);
  }

  /** A key or name: not empty, and UTF-8 to the letter, or two different ones could look the same. */
  identifier(what: string, limitBytes: number): string {
    const at = this.#at;
    const bytes = this.#stringBytes(what, limitBytes);
    if (bytes.length === 0) throw invalid(`${what} at byte ${at} is empty.`, { what, offset: at });
    this.budget.spend(stringMemory(bytes.length));
    try {
      return strict.decode(bytes);
    } catch (cause) {
      throw invalid(`${what} at byte ${at} is not UTF-8: ${hex(bytes)}.`, { what, offset: at, cause: String(cause) });
    }
  }

  /** A value. Tokens of real vocabularies are not always UTF-8, so what isn't becomes U+FFFD. */
  text(what: string): string {
    const bytes = this.#stringBytes(what, limits.stringBytes);
    this.budget.spend(stringMemory(bytes.length));
    return lenient.decode(bytes);
  }

  /** A copy of `length` bytes, at an offset of its own, as typed arrays need it. */
  copy(length: number, what: string): ArrayBuffer {
    const at = this.take(length, what);
    this.budget.spend(length);
    // Not slice(): a Node Buffer's returns a view, whose `buffer` is something else's memory.
    const copy = new Uint8Array(length);
    copy.set(this.bytes.subarray(at, at + length));
    return copy.buffer;
  }
}

/** Two bytes a character, and what an engine keeps beside them, rounded up. */
function stringMemory(nBytes: number): number {
  return 2 * nBytes + 48;
}

function hex(bytes: Uint8Array): string {
  const shown = [...bytes.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return bytes.length > 16 ? `${shown} …` : shown;
}
