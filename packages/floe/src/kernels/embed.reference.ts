/** x[t] = w[tokens[t]], rows of `dim`; an id from nVocab on reads the last row. */
export function embedReference(
  w: ArrayLike<number>,
  tokens: ArrayLike<number>,
  nVocab: number,
  dim: number,
): Float64Array {
  const x = new Float64Array(tokens.length * dim);
  for (let t = 0; t < tokens.length; t++) {
    const id = Math.min(tokens[t]!, nVocab - 1);
    for (let i = 0; i < dim; i++) x[t * dim + i] = w[id * dim + i]!;
  }
  return x;
}
