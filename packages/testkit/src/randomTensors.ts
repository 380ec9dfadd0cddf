import type { FormatName } from '../../floe/src/quant/index.ts';
import type { TensorInput } from './ggufWriter.ts';
import type { Seeded } from './seeded.ts';

export type TensorMaker = ReturnType<typeof tensorMaker>;

/** Tensors by their name without `.weight`, from which and the seed their weights follow; matrices of `type`, or their own. */
export function tensorMaker(type: FormatName, random: Seeded, types: Readonly<Record<string, FormatName>> = {}) {
  const normals =
    (tensorType: FormatName, suffix = 'weight') =>
    (stem: string, shape: readonly number[], deviation: number): TensorInput => {
      const name = `${stem}.${suffix}`;
      const nElements = shape.reduce((total, dim) => total * dim, 1);
      return { name, shape, type: tensorType, data: random.fork(name).normals(nElements, deviation) };
    };
  const uniforms = (stem: string, dim: number, min: number, max: number): TensorInput => {
    const name = `${stem}.weight`;
    return { name, shape: [dim], type: 'F32', data: random.fork(name).uniforms(dim, min, max) };
  };
  return {
    matrix: (stem: string, shape: readonly number[], deviation: number) =>
      normals(types[stem] ?? type)(stem, shape, deviation),
    f32: normals('F32'),
    /** Small beside what it is added to, and nowhere 0. */
    bias: (stem: string, shape: readonly number[]) => {
      const made = normals('F32', 'bias')(stem, shape, 0.3);
      return { ...made, data: made.data.map((value) => value + Math.sign(value) * 0.05) };
    },
    /** Of mean square about 1, so that they don't change an activation's size. */
    norm: (stem: string, dim: number) => uniforms(stem, dim, 0.4, 1.5),
    divisors: (stem: string, dim: number) => uniforms(stem, dim, 1, 8),
  };
}
