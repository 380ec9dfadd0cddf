/** By what a model is known again, that a conversation is not gone on with by another. */
import type { Gguf } from '../gguf/index.ts';
import type { Host } from '../host/index.ts';
import { isExpertRecord, type ModelPlan } from '../model/index.ts';
import { hex, type ModelHashes, type RecordPlan, type WeightSource } from '../store/index.ts';

/** Larger records are not read for it. */
const SMALL_BYTES = 1 << 20;

interface Fingerprinted {
  readonly host: Host;
  readonly gguf: Gguf;
  readonly plan: ModelPlan;
  readonly weights: WeightSource;
}

/**
 * What makes a model's hashes: the outline's once, the others' whenever they are wanted, for experts may still be on their
 * way. Stored weights have a hash of each record; of those read in place the outline alone is known.
 */
export function fingerprint(model: Fingerprinted): () => Promise<ModelHashes> {
  let outline: Promise<string> | null = null;
  return async () => {
    outline ??= outlineOf(model).catch((error: unknown) => {
      outline = null;
      throw error;
    });
    const { records } = model.plan;
    const [dense, experts] = await Promise.all([
      storedHash(
        model,
        records.filter((record) => !isExpertRecord(record)),
      ),
      storedHash(model, records.filter(isExpertRecord)),
    ]);
    return { outline: await outline, dense, experts };
  };
}

/** Whether two may be one model: nothing that is known of both differs. */
export function isSameModel(a: ModelHashes, b: ModelHashes): boolean {
  const agree = (one: string | null, other: string | null) => one === null || other === null || one === other;
  return a.outline === b.outline && agree(a.dense, b.dense) && agree(a.experts, b.experts);
}

/** Of the tensors' names, kinds and places, of norms, routers and other small records, and of the last matrix. */
async function outlineOf({ host, gguf, plan, weights }: Fingerprinted): Promise<string> {
  const tensors = [...gguf.tensors.values()].map(({ name, typeName, offset, nElements }) => [
    name,
    typeName,
    offset,
    nElements,
  ]);
  const dense = plan.records.filter((record) => !isExpertRecord(record));
  const read = [...dense.filter(({ sizeBytes }) => sizeBytes <= SMALL_BYTES), ...dense.slice(-1)];
  const hashes = [await host.sha256(new TextEncoder().encode(JSON.stringify([gguf.architecture, tensors])))];
  for (const record of read) hashes.push(await host.sha256(await weights.read(record)));
  return hashOfHashes(host, hashes);
}

async function storedHash({ host, weights }: Fingerprinted, records: readonly RecordPlan[]): Promise<string | null> {
  const hashes = records.map((record) => weights.sha256Of?.(record));
  if (hashes.length === 0 || hashes.includes(undefined)) return null;
  return hashOfHashes(host, hashes as Uint8Array[]);
}

/** One for many, in their order; in hex. */
async function hashOfHashes(host: Host, hashes: readonly Uint8Array[]): Promise<string> {
  const all = new Uint8Array(hashes.length * 32);
  for (const [i, hash] of hashes.entries()) all.set(hash, i * 32);
  return hex(await host.sha256(all));
}

/** Reads that are hashed as they pass, and one hash of all that was read, in whatever order, and of what else counts. */
export function hashedReads(host: Host, read: WeightSource['read']) {
  const hashes = new Map<string, Uint8Array>();
  const hashed: WeightSource['read'] = async (record, signal, urgency) => {
    const bytes = await read(record, signal, urgency);
    hashes.set(record.key, await host.sha256(bytes));
    return bytes;
  };
  const digest = async (besides: unknown) => {
    const keys = [...hashes.keys()].sort();
    const names = await host.sha256(new TextEncoder().encode(JSON.stringify([keys, besides])));
    return hashOfHashes(host, [names, ...keys.map((key) => hashes.get(key)!)]);
  };
  return { read: hashed, digest };
}
