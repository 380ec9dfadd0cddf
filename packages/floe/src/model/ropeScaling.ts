import type { RopeScaling, RopeTable } from './architecture.ts';
import { type Hyperparameters, unsupported } from './hyperparameters.ts';

const FACTOR = { min: 1e-3, max: 1024 };
const POSITIONS = { min: 1, max: 1 << 24 };

/**
 * The angles a file asks for by `rope.freq_base` and `rope.scaling.*`.
 * @param usual  The scaling that a file means which names none.
 */
export function ropeTable(meta: Hyperparameters, nCtxTrain: number, usual: RopeScaling['kind'] = 'linear'): RopeTable {
  const base = meta.optionalF32('rope.freq_base', { min: 1, max: 1e12 }) ?? 10_000;
  return { base, scaling: ropeScaling(meta, nCtxTrain, usual) };
}

/** @throws {ModelError} `model/unsupported-architecture`: another scaling would turn keys by other angles. */
function ropeScaling(meta: Hyperparameters, nCtxTrain: number, usual: RopeScaling['kind']): RopeScaling {
  const kind = meta.optionalString('rope.scaling.type') ?? usual;
  const factor = meta.optionalF32('rope.scaling.factor', FACTOR) ?? meta.optionalF32('rope.scale_linear', FACTOR) ?? 1;
  const nCtxOriginal = meta.optionalU32('rope.scaling.original_context_length', POSITIONS) ?? nCtxTrain;
  const magnitude = meta.optionalF32('rope.scaling.attn_factor', FACTOR) ?? 1;
  switch (kind) {
    case 'none':
      return { kind: 'linear', factor: 1, magnitude };
    case 'linear':
      return { kind, factor, magnitude };
    case 'longrope':
      return { kind, factor, nCtxOriginal, magnitude };
    case 'yarn':
      return {
        kind,
        factor,
        nCtxOriginal,
        betaFast: meta.optionalF32('rope.scaling.yarn_beta_fast', { min: 1e-3, max: 1e6 }) ?? 32,
        betaSlow: meta.optionalF32('rope.scaling.yarn_beta_slow', { min: 1e-3, max: 1e6 }) ?? 1,
        magnitude: magnitude * yarnMagnitude(meta, factor),
      };
    default:
      throw unsupported(`rope scaling of type ${kind}`);
  }
}

/**
 * The 1 + 0.1 ln(factor) by which YaRN sharpens attention. Where the file says that scores get their own (DeepSeek's
 * `yarn_log_multiplier`), angles are left with the quotient.
 */
function yarnMagnitude(meta: Hyperparameters, factor: number): number {
  const ofLog = (multiplier: number) => (factor <= 1 ? 1 : 1 + 0.1 * multiplier * Math.log(factor));
  const multiplier = meta.optionalF32('rope.scaling.yarn_log_multiplier', { min: 0, max: 100 }) ?? 0;
  return ofLog(1) / ofLog(multiplier);
}
