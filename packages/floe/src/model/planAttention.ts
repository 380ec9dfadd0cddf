import type { RecordPlan } from '../store/index.ts';
import type { LatentDescription, ModelDescription, ModelShape } from './architecture.ts';
import { type RecordBook, rowsOf } from './records.ts';
import type { RunnableTensor } from './tensors.ts';
import type { Heads, Latent, LayerWeights } from './weights.ts';

type AttentionPlan = Pick<
  LayerWeights<RecordPlan, RecordPlan, RecordPlan, object>,
  'attnNorm' | 'attention' | 'attnSinks' | 'attnOutput'
>;

export function planAttention(
  book: RecordBook,
  { shape, attention, norms }: ModelDescription,
  blk: string,
): AttentionPlan {
  const { modelDim, nHeads, valueDim } = shape;
  return {
    attnNorm: norms.beforeAttention === null ? null : book.norm(`${blk}.${norms.beforeAttention}`, modelDim),
    attention: attention.latent
      ? planLatent(book, shape, attention.latent, blk)
      : planHeads(book, shape, attention.qkNorm, blk),
    attnSinks: attention.sinks ? book.weight(`${blk}.attn_sinks`, [nHeads]) : null,
    attnOutput: book.linear(`${blk}.attn_output`, [modelDim, nHeads * valueDim]),
  };
}

function planHeads(
  book: RecordBook,
  shape: ModelShape,
  qkNorm: ModelDescription['attention']['qkNorm'],
  blk: string,
): Heads<RecordPlan, RecordPlan> {
  const { modelDim, nHeads, nKvHeads, headDim, valueDim } = shape;
  const [qDim, kDim, vDim] = [nHeads * headDim, nKvHeads * headDim, nKvHeads * valueDim] as const;
  const fused = book.shelf.has(`${blk}.attn_qkv.weight`);
  const parts: [stem: string, dim: number][] = fused
    ? [['attn_qkv', qDim + kDim + vDim]]
    : [
        ['attn_q', qDim],
        ['attn_k', kDim],
        ['attn_v', vDim],
      ];
  const take = (suffix: string, shapeOf: (dim: number) => number[]) =>
    parts.map(([stem, dim]): RunnableTensor => book.shelf.take(`${blk}.${stem}.${suffix}`, shapeOf(dim)));
  const qkv = book.stack(
    `${blk}.attn_qkv`,
    take('weight', (dim) => [dim, modelDim]),
  );
  const hasBias = parts.some(([stem]) => book.hasBias(`${blk}.${stem}`));
  const norm = (stem: string, dim: number) => book.weight(`${blk}.${stem}`, [qkNorm === 'head' ? headDim : dim]);
  return {
    kind: 'heads',
    qkv,
    bias: hasBias
      ? book.vector(
          `${blk}.attn_qkv.bias`,
          take('bias', (dim) => [dim]),
          headDim,
        )
      : null,
    norms: qkNorm === 'none' ? null : { q: norm('attn_q_norm', qDim), k: norm('attn_k_norm', kDim) },
  };
}

function planLatent(
  book: RecordBook,
  { modelDim, nHeads, headDim, valueDim, ropeDim }: ModelShape,
  { rank, queryRank, plainDim }: LatentDescription,
  blk: string,
): Latent<RecordPlan, RecordPlan> {
  const name = (stem: string) => `${blk}.${stem}`;
  const queryLatent = queryRank && {
    down: book.weight(name('attn_q_a'), [queryRank, modelDim]),
    norm: book.weight(name('attn_q_a_norm'), [queryRank]),
  };
  const q = book.weight(name(queryLatent ? 'attn_q_b' : 'attn_q'), [nHeads * headDim, queryRank ?? modelDim]);
  const down = book.shelf.take(`${name('attn_kv_a_mqa')}.weight`, [rank + ropeDim, modelDim]);
  const common = {
    kind: 'latent',
    queryLatent: queryLatent || null,
    q,
    down: book.stack(name('attn_kv_a'), [rowsOf(down, 0, rank)]),
    rope: book.stack(name('attn_k_rope'), [rowsOf(down, rank, ropeDim)]),
    norm: book.weight(name('attn_kv_a_norm'), [rank]),
  } as const;
  if (book.shelf.has(`${name('attn_kv_b')}.weight`)) {
    const keysValues = book.weight(name('attn_kv_b'), [nHeads * (plainDim + valueDim), rank]);
    return { ...common, up: { kind: 'joined', keysValues } };
  }
  const keys = book.weight(name('attn_k_b'), [nHeads, rank, plainDim]);
  const values = book.weight(name('attn_v_b'), [nHeads, valueDim, rank]);
  return { ...common, up: { kind: 'apart', keys, values } };
}
