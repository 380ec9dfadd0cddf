/** Bytes of a GGUF that is no file: its header as it was laid out, its tensors made of stretches of other files. */
import type { GgufLayout } from '../../gguf/index.ts';
import { isPlain, type Making, makingOf, type Recipe, recipeBytes, type ShardRange } from '../../safetensors/index.ts';
import { GAP_BYTES } from '../fetchPlan.ts';
import { type ByteSource, checkRange, type ReadOptions } from '../source.ts';

export interface Made {
  readonly name: string;
  readonly version: string | null;
  readonly layout: GgufLayout;
  /** In the layout's order. */
  readonly recipes: readonly Recipe[];
  /** Files that were read and closed. */
  readonly texts: readonly ByteSource[];
  readonly shards: readonly ByteSource[];
}

/** A tensor's part of what is read. */
interface Part {
  readonly recipe: Recipe;
  /** In the tensor. */
  readonly from: number;
  readonly to: number;
  /** In what is read. */
  readonly at: number;
}

export function madeSource({ name, version, layout, recipes, texts, shards }: Made): ByteSource {
  const { header, offsets, sizeBytes } = layout;
  const source: ByteSource = {
    name,
    sizeBytes,
    version,
    local: shards.every(({ local }) => local),
    ranges: true,
    get fetchedBytes() {
      return [...texts, ...shards].reduce((sum, { fetchedBytes }) => sum + fetchedBytes, 0);
    },
    read: async (offset, length, signal, options) => {
      checkRange(source, offset, length);
      const parts = partsOf(recipes, offsets, offset, offset + length);
      const [only] = parts;
      if (parts.length === 1 && only!.to - only!.from === length && isPlain(only!.recipe)) {
        const [{ shard, offset: at }] = makingOf(only!.recipe, only!.from, only!.to).ranges as [ShardRange];
        return shards[shard]!.read(at, length, signal, options);
      }
      const bytes = new Uint8Array(length); // Padding is zeros.
      bytes.set(header.subarray(Math.min(offset, header.length), Math.min(offset + length, header.length)));
      const makings = parts.map(({ recipe, from, to }) => makingOf(recipe, from, to));
      const { patienceMs } = options ?? {};
      const stretches = await readTogether(
        shards,
        makings.flatMap(({ ranges }) => ranges),
        signal,
        { patienceMs },
      );
      place(parts, makings, stretches, bytes);
      // What came for it is of another length than what was made of it.
      options?.onBytes?.(length);
      return bytes;
    },
    close: async () => {
      await Promise.all(shards.map((shard) => shard.close()));
    },
  };
  return source;
}

function place(
  parts: readonly Part[],
  makings: readonly Making[],
  stretches: readonly Uint8Array[],
  bytes: Uint8Array,
): void {
  let next = 0;
  for (const [i, { ranges, make }] of makings.entries()) {
    bytes.set(make(stretches.slice(next, next + ranges.length)), parts[i]!.at);
    next += ranges.length;
  }
}

function partsOf(recipes: readonly Recipe[], offsets: readonly number[], start: number, end: number): Part[] {
  const parts: Part[] = [];
  for (let i = firstEndingBehind(offsets, start); i < recipes.length && offsets[i]! < end; i++) {
    const [recipe, offset] = [recipes[i]!, offsets[i]!];
    const from = Math.max(0, start - offset);
    const to = Math.min(recipeBytes(recipe), end - offset);
    if (from < to) parts.push({ recipe, from, to, at: offset + from - start });
  }
  return parts;
}

/** The last that starts at or before `offset`, else the first: of tens of thousands. */
function firstEndingBehind(offsets: readonly number[], offset: number): number {
  let [low, high] = [0, offsets.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (offsets[middle]! <= offset) low = middle;
    else high = middle;
  }
  return low;
}

/** The bytes of each range; neighbours in a file come in one request. */
async function readTogether(
  shards: readonly ByteSource[],
  ranges: readonly ShardRange[],
  signal: AbortSignal | undefined,
  options: ReadOptions,
): Promise<Uint8Array[]> {
  const order = [...ranges.keys()].sort((a, b) => {
    const [one, other] = [ranges[a]!, ranges[b]!];
    return one.shard - other.shard || one.offset - other.offset;
  });
  const groups: { shard: number; offset: number; end: number; members: number[] }[] = [];
  for (const member of order) {
    const { shard, offset, length } = ranges[member]!;
    const group = groups.at(-1);
    if (group?.shard === shard && offset <= group.end + GAP_BYTES) {
      group.end = Math.max(group.end, offset + length);
      group.members.push(member);
    } else {
      groups.push({ shard, offset, end: offset + length, members: [member] });
    }
  }
  const found: Uint8Array[] = [];
  await Promise.all(
    groups.map(async ({ shard, offset, end, members }) => {
      const bytes = await shards[shard]!.read(offset, end - offset, signal, options);
      for (const member of members) {
        const at = ranges[member]!.offset - offset;
        found[member] = bytes.subarray(at, at + ranges[member]!.length);
      }
    }),
  );
  return found;
}
