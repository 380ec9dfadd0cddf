import type { Gguf } from '../gguf/index.ts';
import type { Host } from '../host/index.ts';
import { isExpertRecord, type ModelPlan } from '../model/index.ts';
import { hex, type WeightSource } from '../store/index.ts';

/** Larger records are told apart by what stands beside them. */
const SMALL_BYTES = 1 << 20;

/**
 * A hash by which a model is known again: of its tensors' names, kinds and places, of its norms, routers and other small
 * records, and of its last matrix. Another quantization is another model, and so is another training.
 */
export async function fingerprint(host: Host, gguf: Gguf, plan: ModelPlan, weights: WeightSource): Promise<string> {
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
  const all = new Uint8Array(hashes.length * 32);
  for (const [i, hash] of hashes.entries()) all.set(hash, i * 32);
  return hex(await host.sha256(all));
}
