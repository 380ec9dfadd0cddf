import type { Architecture, RopeTable, RouterDescription } from '../architecture.ts';
import { decoder, decoderSizes, expertLength, expertsOf, feedForwardLength, mlpOf, sharedMlp } from '../decoder.ts';
import { type Hyperparameters, unsupported } from '../hyperparameters.ts';
import { ropeTable } from '../ropeScaling.ts';

const DIM = { min: 1, max: 1 << 16 };
const GATINGS: readonly RouterDescription['gating'][] = ['softmax', 'sigmoid'];

/**
 * DeepSeek-V2 and V3, and what is built like them: latent attention, the first layers dense, experts all share beside
 * those that are chosen.
 */
export const deepseek2: Architecture = {
  name: 'deepseek2',
  describe: (meta) => {
    const { nHeads, nCtxTrain, ropeDim } = decoderSizes(meta);
    // Files that keep keys and values apart give the sizes of what is cached as the usual ones, and these beside them.
    const headDim = meta.optionalU32('attention.key_length_mla', DIM) ?? meta.u32('attention.key_length', DIM);
    const valueDim = meta.optionalU32('attention.value_length_mla', DIM) ?? meta.u32('attention.value_length', DIM);
    const nDense = meta.optionalU32('leading_dense_block_count', { min: 0, max: 512 }) ?? 0;
    const expertDim = expertLength(meta) ?? feedForwardLength(meta);
    const nShared = meta.optionalU32('expert_shared_count', { min: 0, max: 64 }) ?? 0;
    const experts = expertsOf(routerOf(meta));
    const { table, scale } = yarnOf(meta, ropeTable(meta, nCtxTrain));
    return decoder(meta, {
      pairs: 'interleaved',
      sizes: { headDim, valueDim, nKvHeads: nHeads },
      expertDim,
      attention: {
        scale: scale / Math.sqrt(headDim),
        latent: {
          queryRank: meta.optionalU32('attention.q_lora_rank', DIM) ?? null,
          rank: meta.u32('attention.kv_lora_rank', DIM),
          plainDim: headDim - ropeDim,
        },
      },
      ropeTables: [table],
      feedForward: (_, layer) =>
        layer < nDense
          ? { mlp: mlpOf(feedForwardLength(meta)), experts: null }
          : { mlp: nShared > 0 ? sharedMlp(nShared * expertDim) : null, experts },
    });
  },
};

function routerOf(meta: Hyperparameters): Partial<RouterDescription> {
  const nGroups = meta.optionalU32('expert_group_count', { min: 0, max: 1024 }) ?? 0;
  // 1 softmax, 2 sigmoid; 0, or nothing, in files older than the key.
  const gating = GATINGS[(meta.optionalU32('expert_gating_func', { min: 0, max: 3 }) || 1) - 1];
  if (!gating) throw unsupported('a softmax of the chosen experts beside latent attention');
  return {
    gating,
    renormalise: meta.optionalBool('expert_weights_norm') ?? false,
    // 0 in files that mean none.
    scale: meta.optionalF32('expert_weights_scale', { min: 0, max: 1e4 }) || 1,
    groups:
      nGroups > 1 ? { nGroups, nGroupsUsed: meta.u32('expert_group_used_count', { min: 1, max: nGroups }) } : null,
  };
}

/**
 * Scores are scaled by the square of YaRN's 1 + 0.1 · m · ln(factor), m the model's own (`mscale_all_dim`), and angles
 * are left as they are. Files have 0.1 · m.
 */
function yarnOf(meta: Hyperparameters, table: RopeTable): { table: RopeTable; scale: number } {
  const { scaling } = table;
  if (scaling.kind !== 'yarn') return { table, scale: 1 };
  const attnFactor = meta.optionalF32('rope.scaling.attn_factor') ?? 1;
  const m = (meta.optionalF32('rope.scaling.yarn_log_multiplier') ?? 0) / 0.1;
  const log = Math.log(Math.max(1, scaling.factor));
  if (m === 0) return { table, scale: (attnFactor * (1 + 0.1 * log)) ** 2 };
  const scale = (attnFactor * (1 + 0.1 * m * log)) ** 2;
  return { table: { ...table, scaling: { ...scaling, magnitude: attnFactor } }, scale };
}
