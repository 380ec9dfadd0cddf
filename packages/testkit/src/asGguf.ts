/** Models from safetensors for tests of what runs them: as the GGUF that Floe makes of the files, and one to compare it with. */
import { nodeHost } from '../../floe/src/host/node.ts';
import { openSource } from '../../floe/src/store/index.ts';
import type { GgufInput, TensorInput } from './ggufWriter.ts';
import type { SafetensorsModel } from './safetensors.ts';

/** All bytes of the file that Floe makes of the folder. */
export async function asGguf({ files }: Pick<SafetensorsModel, 'files'>): Promise<Uint8Array> {
  const chosen = [...files].map(([name, bytes]) => new File([new Uint8Array(bytes)], name));
  const source = await openSource(nodeHost(null), chosen);
  return source.read(0, source.sizeBytes);
}

const EXPERT = /^(blk\.\d+\.ffn_(?:gate|up|down))\.(\d+)\.weight$/;

/** The same model with each layer's experts in one tensor, as converters write it now. */
export function withMergedExperts({ metadata, tensors }: GgufInput): GgufInput {
  const merged = new Map<string, TensorInput>();
  for (const tensor of tensors) {
    const stem = EXPERT.exec(tensor.name)?.[1];
    const name = stem === undefined ? tensor.name : `${stem}_exps.weight`;
    const before = merged.get(name);
    const own = stem === undefined ? tensor : { ...tensor, name, shape: [1, ...tensor.shape] };
    merged.set(name, before ? joined(before, own) : own);
  }
  return { metadata, tensors: [...merged.values()] };
}

function joined(first: TensorInput, second: TensorInput): TensorInput {
  const data = new Float64Array(first.data.length + second.data.length);
  data.set(first.data);
  data.set(second.data, first.data.length);
  return { ...first, shape: [first.shape[0]! + 1, ...first.shape.slice(1)], data };
}
