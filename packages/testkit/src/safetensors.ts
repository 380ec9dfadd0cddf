/** The files of a model as hubs hold it, from what a GGUF of the same model is written from. */
import { numberToE4m3 } from '../../floe/src/quant/e4m3.ts';
import { e4m3ToNumber, halfToNumber } from '../../floe/src/quant/index.ts';
import { encode } from './encode.ts';
import type { GgufInput, TensorInput } from './ggufWriter.ts';
import { hubConfig, hubName } from './hubNames.ts';
import { hubTokenizer } from './hubTokenizer.ts';

export interface SafetensorsOptions {
  /** Matrices of layers become F8_E4M3 with a scale for each of these. */
  readonly scales?: 'tensor' | 'row' | 'block';
  /** Default: `weight_scale_inv` for blocks, else `weight_scale`. */
  readonly scaleSuffix?: string;
  readonly scaleType?: 'F32' | 'BF16';
  /** Default 1, without an index. */
  readonly nShards?: number;
  /** Norms and biases are written so; default F32. */
  readonly vectors?: 'F32' | 'F16' | 'BF16';
  /** Default 'tokenizer.json'. */
  readonly tokenizer?: 'tokenizer.json' | 'tokenizer.model';
  /** More of config.json. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface SafetensorsModel {
  /** By name. */
  readonly files: Map<string, Uint8Array>;
  /** The weights they stand for, under GGUF's names and in its order of rows. */
  readonly meant: GgufInput;
}

/** One tensor of a file. */
export interface StoredInput {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Experts are to be apart (`expertsApart`), as hubs have them. */
export function safetensorsModel(model: GgufInput, options: SafetensorsOptions = {}): SafetensorsModel {
  const architecture = String(model.metadata['general.architecture']);
  const config = { ...hubConfig(model), ...options.config };
  const stored: StoredInput[] = [];
  const tensors = model.tensors.map((tensor) => {
    const { inputs, meant } = store(tensor, config, options);
    stored.push(...inputs);
    return meant;
  });
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const files = new Map<string, Uint8Array>([['config.json', json(config)]]);
  for (const [name, bytes] of hubTokenizer(model.metadata, options.tokenizer ?? 'tokenizer.json'))
    files.set(name, bytes);
  for (const [name, bytes] of shardFiles(stored, options.nShards ?? 1)) files.set(name, bytes);
  return { files, meant: { metadata: { ...model.metadata, 'general.architecture': architecture }, tensors } };
}

/** A file of these tensors, in an order of its own: wider dtypes first, as the reference writer has it. */
export function safetensorsFile(tensors: readonly StoredInput[]): Uint8Array {
  const width = ({ dtype }: StoredInput) => (dtype === 'F32' ? 4 : dtype.startsWith('F8') ? 1 : 2);
  const ordered = [...tensors].sort((a, b) => width(b) - width(a) || (a.name < b.name ? -1 : 1));
  let at = 0;
  const entries = ordered.map(({ name, dtype, shape, bytes }) => {
    const begin = at;
    at += bytes.length;
    return [name, { dtype, shape, data_offsets: [begin, at] }] as const;
  });
  return rawSafetensors(
    { __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) },
    ordered.map(({ bytes }) => bytes),
  );
}

/** A file of whatever header. */
export function rawSafetensors(header: unknown, data: readonly Uint8Array[]): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  // Data begins at a multiple of eight.
  const length = Math.ceil(json.length / 8) * 8;
  const start = new Uint8Array(8 + length).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(length), true);
  start.set(json, 8);
  return new Uint8Array(Buffer.concat([start, ...data]));
}

function shardFiles(stored: readonly StoredInput[], nShards: number): [name: string, bytes: Uint8Array][] {
  if (nShards === 1) return [['model.safetensors', safetensorsFile(stored)]];
  const number = (shard: number) => String(shard).padStart(5, '0');
  const name = (shard: number) => `model-${number(shard + 1)}-of-${number(nShards)}.safetensors`;
  const ordered = [...stored].sort((a, b) => (a.name < b.name ? -1 : 1));
  // A weight and its scale may come to lie in different files.
  const shardOf = (i: number) => Math.floor((i * nShards) / ordered.length);
  const weightMap = Object.fromEntries(ordered.map((tensor, i) => [tensor.name, name(shardOf(i))]));
  const index = new TextEncoder().encode(JSON.stringify({ metadata: { total_size: 1 }, weight_map: weightMap }));
  const shards = Array.from({ length: nShards }, (_, shard): [string, Uint8Array] => [
    name(shard),
    safetensorsFile(ordered.filter((_, i) => shardOf(i) === shard)),
  ]);
  return [['model.safetensors.index.json', index], ...shards];
}

function store(tensor: TensorInput, config: Readonly<Record<string, unknown>>, options: SafetensorsOptions) {
  const { vectors = 'F32', scales } = options;
  if (tensor.name.startsWith('rope_factors_')) return { inputs: [], meant: tensor };
  const { name, headRows } = hubName(tensor.name, config);
  const isVector = tensor.shape.length === 1;
  const type = isVector ? vectors : tensor.type;
  const isScaled =
    scales !== undefined && /^blk\..*\.weight$/.test(tensor.name) && !isVector && !/gate_inp/.test(tensor.name);
  if (isScaled) return storeScaled(tensor, name, headRows, options);
  // Rounded first, so that what is stored is what is meant.
  const lacksOne = /^gemma/.test(String(config.model_type)) && tensor.name.includes('norm');
  const kept = rounded(type, lacksOne ? tensor.data.map((weight) => weight - 1) : tensor.data);
  const bytes = encode(type as 'F32', permuted(kept, tensor.shape, headRows));
  const data = lacksOne ? kept.map((weight) => weight + 1) : kept;
  // A linear map to one value, which GGUF has as a vector.
  const shape = name.endsWith('shared_expert_gate.weight') ? [1, ...tensor.shape] : tensor.shape;
  return { inputs: [{ name, dtype: type, shape, bytes }], meant: { ...tensor, data } };
}

function storeScaled(tensor: TensorInput, name: string, headRows: number | null, options: SafetensorsOptions) {
  const { scales, scaleType = 'F32' } = options;
  const [N, K] = tensor.shape as [number, number];
  const data = permuted(tensor.data, tensor.shape, headRows);
  const [rows, columns] = scales === 'tensor' ? [N, K] : scales === 'row' ? [1, K] : [128, 128];
  const nColumns = Math.ceil(K / columns);
  const blockOf = (i: number) => Math.floor(Math.floor(i / K) / rows) * nColumns + Math.floor((i % K) / columns);
  const largest = new Float64Array(Math.ceil(N / rows) * nColumns);
  data.forEach((weight, i) => {
    largest[blockOf(i)] = Math.max(largest[blockOf(i)]!, Math.abs(weight));
  });
  const scale = rounded(
    scaleType,
    Float64Array.from(largest, (most) => most / 448 || 1),
  );
  const bytes = Uint8Array.from(data, (weight, i) => numberToE4m3(weight / scale[blockOf(i)]!));
  const meant = Float64Array.from(bytes, (byte, i) => e4m3ToNumber(byte) * scale[blockOf(i)]!);
  const suffix = options.scaleSuffix ?? (scales === 'block' ? 'weight_scale_inv' : 'weight_scale');
  const shape = scales === 'tensor' ? [] : [scale.length / nColumns, nColumns];
  return {
    inputs: [
      { name, dtype: 'F8_E4M3', shape: tensor.shape, bytes },
      { name: name.replace(/weight$/, suffix), dtype: scaleType, shape, bytes: encode(scaleType, scale) },
    ],
    meant: { ...tensor, type: 'F32' as const, data: unpermuted(meant, tensor.shape, headRows) },
  };
}

function rounded(type: string, data: Float32Array | Float64Array): Float64Array {
  const bytes = encode(type as 'F32', data);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (type === 'F32') return Float64Array.from({ length: data.length }, (_, i) => view.getFloat32(4 * i, true));
  if (type === 'F16')
    return Float64Array.from({ length: data.length }, (_, i) => halfToNumber(view.getUint16(2 * i, true)));
  const word = new DataView(new ArrayBuffer(4));
  return Float64Array.from({ length: data.length }, (_, i) => {
    word.setUint16(2, view.getUint16(2 * i, true), true);
    return word.getFloat32(0, true);
  });
}

/** A hub's rows of GGUF's: within a head of d rows, row b·(d/2) + i is row 2i + b there. */
function permuted(data: Float32Array | Float64Array, shape: readonly number[], headRows: number | null): Float64Array {
  return byRows(data, shape, headRows, (to, from, row, other) => to.set(from(row), other));
}

function unpermuted(data: Float64Array, shape: readonly number[], headRows: number | null): Float64Array {
  return byRows(data, shape, headRows, (to, from, row, other) => to.set(from(other), row));
}

type MoveRow = (
  to: { set: (row: Float64Array, at: number) => void },
  from: (row: number) => Float64Array,
  gguf: number,
  hub: number,
) => void;

function byRows(
  data: Float32Array | Float64Array,
  shape: readonly number[],
  headRows: number | null,
  move: MoveRow,
): Float64Array {
  const source = Float64Array.from(data);
  if (headRows === null) return source;
  const nRows = shape[0]!;
  const width = source.length / nRows;
  const moved = new Float64Array(source.length);
  const to = { set: (row: Float64Array, at: number) => moved.set(row, at * width) };
  const from = (row: number) => source.subarray(row * width, (row + 1) * width);
  for (let head = 0; head < nRows; head += headRows) {
    for (let i = 0; i < headRows / 2; i++) {
      for (const b of [0, 1]) move(to, from, head + 2 * i + b, head + b * (headRows / 2) + i);
    }
  }
  return moved;
}
