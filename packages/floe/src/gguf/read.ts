import { InternalError, throwIfAborted } from '../errors/index.ts';
import { truncated } from './fail.ts';
import { type Gguf, type ParseOptions, parseHeader } from './header.ts';
import { limits, MIB } from './limits.ts';
import { refuseLonePart } from './split.ts';

/** What the reader needs of a source: its length and ranges of it. */
export interface GgufSource {
  readonly sizeBytes: number;
  /** Exactly `length` bytes from `offset`. */
  readonly read: (offset: number, length: number, signal?: AbortSignal) => Promise<Uint8Array>;
}

export interface ReadGgufOptions extends ParseOptions {
  readonly signal?: AbortSignal;
  /** 'keep' reads one part of a split model by itself; 'throw' by itself: alone it is no model. */
  readonly onSplitPart?: 'throw' | 'keep';
}

/** Holds the header of most models; one round trip more for each doubling beyond. */
const FIRST_BYTES = MIB;

/**
 * Reads what a GGUF file says about itself: metadata and where each tensor lies. Reads no weights, and each byte of the
 * header once: the first MiB, then as much again as often as the header goes on.
 *
 * @param options.onUnsupportedType  'keep' to list a file whose weights Floe can't run.
 * @throws {GgufError} `gguf/*`: the file is broken or unsupported; the message names the offset, key or tensor.
 */
export async function readGguf(source: GgufSource, options: ReadGgufOptions = {}): Promise<Gguf> {
  const { sizeBytes } = source;
  let prefix: Uint8Array = new Uint8Array();
  let wantBytes = FIRST_BYTES;
  for (;;) {
    throwIfAborted(options.signal);
    prefix = await extend(source, prefix, Math.min(wantBytes, sizeBytes, limits.headerBytes), options.signal);
    throwIfAborted(options.signal);
    const result = parseHeader(prefix, sizeBytes, options);
    if (result.kind === 'done') {
      if (options.onSplitPart !== 'keep') refuseLonePart(result.gguf);
      return result.gguf;
    }
    if (result.bytes <= prefix.length) throw new InternalError(`The reader asked twice for ${result.bytes} bytes.`);
    wantBytes = Math.max(result.bytes, 2 * prefix.length);
  }
}

async function extend(
  source: GgufSource,
  prefix: Uint8Array,
  toBytes: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const moreBytes = toBytes - prefix.length;
  if (moreBytes <= 0) return prefix;
  const more = await source.read(prefix.length, moreBytes, signal);
  if (more.length !== moreBytes) {
    throw truncated('the header', toBytes, prefix.length + more.length, prefix.length);
  }
  if (prefix.length === 0) return more;
  const longer = new Uint8Array(toBytes);
  longer.set(prefix);
  longer.set(more, prefix.length);
  return longer;
}
