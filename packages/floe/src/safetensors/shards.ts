/** The files that hold a model's tensors: one, or several that `model.safetensors.index.json` names. */
import { invalid, quote } from './fail.ts';
import type { StoredTensor } from './header.ts';
import { type JsonReader, parseObject } from './json.ts';

export const INDEX_FILE = 'model.safetensors.index.json';
export const SINGLE_FILE = 'model.safetensors';

const MAX_SHARDS = 10_000;
/** In the folder itself: a name from a file leads nowhere else. */
const SHARD_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors$/;

/** Which file each tensor is in. */
export interface ShardIndex {
  /** Sorted. */
  readonly files: readonly string[];
  readonly fileOf: ReadonlyMap<string, string>;
}

/** Reads `model.safetensors.index.json`. */
export function parseIndex(bytes: Uint8Array): ShardIndex {
  const map = parseObject(INDEX_FILE, bytes).object('weight_map');
  const fileOf = new Map(map.entries().map(([tensor]) => [tensor, shardName(map, tensor)]));
  const files = [...new Set(fileOf.values())].sort();
  if (files.length === 0 || files.length > MAX_SHARDS) {
    throw invalid(`${INDEX_FILE} names ${files.length} files.`, { file: INDEX_FILE, nFiles: files.length });
  }
  return { files, fileOf };
}

function shardName(map: JsonReader, tensor: string): string {
  const name = map.string(tensor);
  if (SHARD_NAME.test(name)) return name;
  throw map.wrong(tensor, 'the name of a .safetensors file in the same folder');
}

/** A file whose header was read. */
export interface Shard {
  readonly file: string;
  readonly tensors: readonly StoredTensor[];
}

/** A tensor, and the index of its file among the shards. */
export interface PlacedTensor extends StoredTensor {
  readonly shard: number;
}

/** All tensors, file by file in the order of their bytes. Throws where they are not those that the index names. */
export function joinShards(shards: readonly Shard[], index: ShardIndex | null): ReadonlyMap<string, PlacedTensor> {
  const tensors = new Map<string, PlacedTensor>();
  for (const [shard, { file, tensors: listed }] of shards.entries()) {
    for (const tensor of listed) {
      const other = tensors.get(tensor.name);
      if (other) {
        throw invalid(`The tensor ${quote(tensor.name)} is in ${shards[other.shard]!.file} and in ${file}.`, {
          tensor: tensor.name,
          file,
        });
      }
      const expected = index?.fileOf.get(tensor.name);
      if (index && expected !== file) {
        const where = expected === undefined ? 'does not name it' : `says it is in ${expected}`;
        throw invalid(`${file} has the tensor ${quote(tensor.name)}; ${INDEX_FILE} ${where}.`, {
          tensor: tensor.name,
          file,
        });
      }
      tensors.set(tensor.name, { ...tensor, shard });
    }
  }
  for (const [tensor, file] of index?.fileOf ?? []) {
    if (!tensors.has(tensor)) {
      throw invalid(`${file} has no tensor ${quote(tensor)}, which ${INDEX_FILE} says it has.`, { tensor, file });
    }
  }
  return tensors;
}
