/** Checks a whole file against the hash its source publishes. */
import { NetError, StoreError, throwIfAborted } from '../errors/index.ts';
import { hex } from './manifest.ts';
import { unpackSource } from './pack.ts';
import type { MatrixPlan, RecordPlan } from './record.ts';
import { Sha256 } from './sha256.ts';
import type { ByteSource } from './source.ts';

const READ_BYTES = 4 << 20;

interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((loaded: number) => void) | undefined;
}

/** SHA-256 of a source, read from end to end. */
export async function hashSource(source: ByteSource, options: VerifyOptions): Promise<string> {
  const hash = new Sha256();
  for (let at = 0; at < source.sizeBytes; at += READ_BYTES) {
    hash.update(await source.read(at, Math.min(READ_BYTES, source.sizeBytes - at), options.signal));
    options.onBytes?.(Math.min(at + READ_BYTES, source.sizeBytes));
  }
  return hex(hash.digest());
}

/**
 * SHA-256 of a file whose tensors are stored. Packing is a permutation, so the file's bytes come back out of the
 * records, and what is checked is what was stored, in however many visits. `source` gives what no record has: the
 * header, padding, tensors that aren't used.
 */
export async function hashStored(
  source: ByteSource,
  plans: readonly RecordPlan[],
  readRecord: (plan: RecordPlan) => Promise<Uint8Array>,
  options: VerifyOptions,
): Promise<string> {
  const hash = new Sha256();
  let position = 0;
  const add = (bytes: Uint8Array) => {
    hash.update(bytes);
    position += bytes.length;
    options.onBytes?.(position);
  };
  const fillUpTo = async (end: number) => {
    while (position < end) add(await source.read(position, Math.min(READ_BYTES, end - position), options.signal));
  };
  const held = { plan: null as RecordPlan | null, bytes: new Uint8Array(0) };
  for (const { plan, matrix, sourceIndex, offset } of inFileOrder(plans)) {
    throwIfAborted(options.signal);
    await fillUpTo(offset);
    if (held.plan !== plan) Object.assign(held, { plan, bytes: await readRecord(plan) });
    // Two records may share rows (tied embeddings); hashed once.
    const bytes = unpackSource(matrix, sourceIndex, held.bytes);
    if (offset + bytes.length > position) add(bytes.subarray(position - offset));
  }
  await fillUpTo(source.sizeBytes);
  return hex(hash.digest());
}

/** Throws `net/source-changed` unless the hashes are equal. */
export function checkFileSha256(name: string, expected: string, found: string): void {
  if (expected.toLowerCase() === found) return;
  throw new NetError(
    'net/source-changed',
    `${name} is not the file expected: its SHA-256 is ${found}, not ${expected}.`,
    {
      remedy:
        'Check `sha256`, or take the file from where the hash was published. What was downloaded just now is not kept.',
      details: { name, expected, found },
    },
  );
}

export function recordCorrupt(model: string, key: string, cause?: unknown): StoreError {
  return new StoreError('store/corrupt', `The stored record ${key} of ${model} is damaged or gone.`, {
    remedy: 'It is downloaded again as soon as the source can be reached.',
    retryable: true,
    details: { model, key },
    ...(cause === undefined ? {} : { cause }),
  });
}

function inFileOrder(plans: readonly RecordPlan[]) {
  const sources: { plan: RecordPlan; matrix: MatrixPlan; sourceIndex: number; offset: number }[] = [];
  for (const plan of plans) {
    for (const matrix of plan.matrices) {
      matrix.sources.forEach(({ offset }, sourceIndex) => {
        sources.push({ plan, matrix, sourceIndex, offset });
      });
    }
  }
  return sources.sort((a, b) => a.offset - b.offset);
}
