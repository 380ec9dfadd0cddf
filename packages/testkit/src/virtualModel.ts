/**
 * A GGUF file of Arctic's true dimensions that is nowhere: its header is built, and any range of its weights is made
 * when it is asked for. 7.6 GB a layer are served from a few MB of memory.
 */
import { formatByName } from '../../floe/src/quant/index.ts';
import { type MetadataInput, writeGguf } from './ggufWriter.ts';
import { randomTokenizer } from './randomTokenizer.ts';
import { type RawTensor, rawGguf } from './rawGguf.ts';
import { fillTiles, type Kind, makePools, mix } from './virtualWeights.ts';

export interface VirtualShape {
  readonly modelDim: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly expertDim: number;
  readonly nExperts: number;
  readonly nExpertsUsed: number;
}

/** Snowflake-Labs/snowflake-arctic-instruct, config.json. An expert has 58.8 MB at Q4_0, a merged tensor 2.3 GiB. */
export const ARCTIC_SHAPE: VirtualShape = {
  modelDim: 7168,
  nHeads: 56,
  nKvHeads: 8,
  expertDim: 4864,
  nExperts: 128,
  nExpertsUsed: 2,
};

export interface VirtualModelOptions {
  readonly nLayers: number;
  /** Default: Arctic's own. Widths must be multiples of 32. */
  readonly shape?: Partial<VirtualShape>;
  /** Default 320: the real one's 32,000 would add 260 MB that show nothing new. */
  readonly nVocab?: number;
  readonly nCtxTrain?: number;
  readonly seed?: number;
}

export interface VirtualTensor {
  readonly name: string;
  /** What its weights are drawn from. */
  readonly kind: Kind;
  /** Row-major: the last is the length of a row. */
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface VirtualModel {
  readonly shape: VirtualShape;
  readonly nLayers: number;
  readonly sizeBytes: number;
  /** Everything before the data section. */
  readonly header: Uint8Array;
  /** In file order. */
  readonly tensors: readonly VirtualTensor[];
  /** Of one expert of one layer: gate, up and down. */
  readonly expertBytes: number;
  /** `length` bytes from `offset`: the same ones however the file is cut. Throws on a range outside the file. */
  readonly bytesAt: (offset: number, length: number) => Uint8Array<ArrayBuffer>;
}

const ALIGNMENT = 32;

/**
 * Builds the header. Weights are as `randomModel()` makes them: activations keep their size from layer to layer, logits
 * spread by about 2, and a router's scores by 2, so that tokens go to different experts. Every tile begins at a block
 * of the pool that a hash of seed, tensor and tile chooses; the seed and the offset decide each byte.
 */
export function virtualModel(options: VirtualModelOptions): VirtualModel {
  const { nLayers, seed = 1 } = options;
  const shape = { ...ARCTIC_SHAPE, ...options.shape };
  const listed = listTensors(shape, nLayers, options.nVocab ?? 320);
  const header = buildHeader(metadataOf(shape, options), listed);
  const tensors = place(listed, header.length);
  const pools = makePools(seed);
  const last = tensors.at(-1)!;
  const sizeBytes = last.offset + last.sizeBytes;
  return {
    shape,
    nLayers,
    sizeBytes,
    header,
    tensors,
    expertBytes: 3 * q4Bytes(shape.modelDim * shape.expertDim),
    bytesAt: (offset, length) => {
      if (!(offset >= 0 && length >= 0 && offset + length <= sizeBytes)) {
        throw new Error(`bytes ${offset} to ${offset + length} of a file of ${sizeBytes}`);
      }
      // Between tensors there are zeros.
      const bytes = new Uint8Array(length);
      bytes.set(header.subarray(Math.min(offset, header.length), Math.min(offset + length, header.length)));
      for (let i = firstEndingBehind(tensors, offset); i < tensors.length; i++) {
        const tensor = tensors[i]!;
        if (tensor.offset >= offset + length) break;
        fillTiles(bytes, offset, tensor, pools(tensor.kind), mix(seed, i));
      }
      return bytes;
    },
  };
}

type Unplaced = Omit<VirtualTensor, 'offset' | 'sizeBytes'>;

function listTensors({ modelDim: D, ...shape }: VirtualShape, nLayers: number, nVocab: number): Unplaced[] {
  const { nHeads, nKvHeads, expertDim: F, nExperts } = shape;
  const kvDim = (D / nHeads) * nKvHeads;
  const tensor = (stem: string, dims: number[], kind: Kind): Unplaced => {
    if (kind.type === 'Q4_0' && dims.at(-1)! % 32 !== 0) throw new Error(`${stem}: rows of ${dims.at(-1)}`);
    return { name: `${stem}.weight`, kind, shape: dims };
  };
  const matrix = (stem: string, dims: number[], deviation: number) => tensor(stem, dims, { type: 'Q4_0', deviation });
  const norm = (stem: string) => tensor(stem, [D], { type: 'F32', min: 0.4, max: 1.5 });
  const unit = 1 / Math.sqrt(D);
  const layer = (blk: string): Unplaced[] => [
    norm(`${blk}.attn_norm`),
    matrix(`${blk}.attn_q`, [D, D], 1.5 * unit),
    matrix(`${blk}.attn_k`, [kvDim, D], 1.5 * unit),
    matrix(`${blk}.attn_v`, [kvDim, D], unit),
    matrix(`${blk}.attn_output`, [D, D], unit),
    norm(`${blk}.ffn_norm`),
    matrix(`${blk}.ffn_gate`, [D, D], unit),
    matrix(`${blk}.ffn_up`, [D, D], unit),
    matrix(`${blk}.ffn_down`, [D, D], 2 * unit),
    norm(`${blk}.ffn_norm_exps`),
    tensor(`${blk}.ffn_gate_inp`, [nExperts, D], { type: 'F32', deviation: 2 * unit }),
    matrix(`${blk}.ffn_gate_exps`, [nExperts, F, D], unit),
    matrix(`${blk}.ffn_up_exps`, [nExperts, F, D], unit),
    matrix(`${blk}.ffn_down_exps`, [nExperts, D, F], 2 / Math.sqrt(F)),
  ];
  return [
    matrix('token_embd', [nVocab, D], 1),
    norm('output_norm'),
    matrix('output', [nVocab, D], 2 * unit),
    ...Array.from({ length: nLayers }, (_, i) => layer(`blk.${i}`)).flat(),
  ];
}

function metadataOf(shape: VirtualShape, options: VirtualModelOptions): Record<string, MetadataInput> {
  const { nLayers, nVocab = 320, nCtxTrain = 4096, seed = 1 } = options;
  return {
    'general.architecture': 'arctic',
    'general.name': `a slice of Arctic's size, ${nLayers} of 35 layers, random ${seed}`,
    'general.file_type': 2,
    'general.quantization_version': 2,
    'arctic.vocab_size': nVocab,
    'arctic.context_length': nCtxTrain,
    'arctic.embedding_length': shape.modelDim,
    'arctic.block_count': nLayers,
    'arctic.feed_forward_length': shape.expertDim,
    'arctic.attention.head_count': shape.nHeads,
    'arctic.attention.head_count_kv': shape.nKvHeads,
    'arctic.attention.layer_norm_rms_epsilon': { f32: 1e-5 },
    'arctic.rope.freq_base': { f32: 10_000 },
    'arctic.rope.dimension_count': shape.modelDim / shape.nHeads,
    'arctic.expert_count': shape.nExperts,
    'arctic.expert_used_count': shape.nExpertsUsed,
    ...randomTokenizer(nVocab),
  };
}

function buildHeader(metadata: Record<string, MetadataInput>, listed: readonly Unplaced[]): Uint8Array {
  // A file of no tensors is 24 bytes of counts and then the metadata, as the writer encodes it.
  const encoded = writeGguf({ metadata, tensors: [] }).subarray(24);
  const tensors = place(listed, 0).map(
    ({ name, shape, kind, offset }): RawTensor => ({
      name,
      ne: [...shape].reverse(),
      type: formatByName(kind.type).ggmlType,
      offset,
      data: new Uint8Array(0),
    }),
  );
  return rawGguf({ kvs: [encoded], nKv: Object.keys(metadata).length, tensors, alignment: ALIGNMENT });
}

/** One behind the other from `start`, each aligned. */
function place(listed: readonly Unplaced[], start: number): VirtualTensor[] {
  let end = start;
  return listed.map((tensor) => {
    const nElements = tensor.shape.reduce((total, dim) => total * dim, 1);
    const sizeBytes = tensor.kind.type === 'F32' ? 4 * nElements : q4Bytes(nElements);
    const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    end = offset + sizeBytes;
    return { ...tensor, offset, sizeBytes };
  });
}

function q4Bytes(nElements: number): number {
  return (nElements / 32) * 18;
}

function firstEndingBehind(tensors: readonly VirtualTensor[], offset: number): number {
  const index = tensors.findIndex((tensor) => tensor.offset + tensor.sizeBytes > offset);
  return index < 0 ? tensors.length : index;
}
