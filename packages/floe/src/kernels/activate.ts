import activateWgsl from '#shaders/activate.wgsl';
import activationGeglu from '#shaders/parts/activation_geglu.wgsl';
import activationSwiglu from '#shaders/parts/activation_swiglu.wgsl';
import type { BufferView, Recorder, ShaderPart } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import type { MatmulOutput } from './matmul.ts';

/** What a matmul of gate over up makes of both. */
export type GatedOutput = Extract<MatmulOutput, 'swiglu' | 'geglu'>;

const activationParts: Readonly<Record<GatedOutput, ShaderPart>> = {
  swiglu: activationSwiglu,
  geglu: activationGeglu,
};

export interface ActivateArgs {
  /** [T, gate | up]. */
  readonly gateUp: BufferView;
  /** [T, dim]. */
  readonly y: BufferView;
  readonly nRows: number;
  readonly dim: number;
  readonly activation: GatedOutput;
  readonly stage: number;
}

/** y = activation(gate) · up, where something was added between the matmul and its activation. */
export function activate(rec: Recorder, { gateUp, y, nRows, dim, activation, stage }: ActivateArgs): void {
  rec.dispatch({
    shader: activateWgsl,
    parts: { activation: activationParts[activation] },
    bindings: { gateUp, y },
    params: { dim, gateUpStride: rowStride(2 * dim), yStride: rowStride(dim), stage },
    workgroups: [Math.ceil(dim / 32), nRows],
  });
}
