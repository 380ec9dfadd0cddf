// Dimensions i and i + ropeDim / 2 turn together (GPT-NeoX, Qwen, Gemma, Phi).
fn turnOf(dim: u32, ropeDim: u32) -> Turn {
  let half = ropeDim / 2u; let isFirst = dim < half;
  return Turn(select(dim - half, dim, isFirst), select(dim - half, dim + half, isFirst), select(1.0, -1.0, isFirst));
}
