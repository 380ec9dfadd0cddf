// y = gelu(gate · x) ∘ (up · x), the rows of gate stacked over those of up; gelu by its tanh form, as Gemma was trained.
const OUTPUTS = ROWS / 2u;
fn rowOf(first: u32, i: u32) -> u32 { return select(first + i, first + i - OUTPUTS + params.nOut, i >= OUTPUTS); }
// (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)). The clamp keeps exp finite: WGSL leaves overflow undefined.
fn gelu(v: f32) -> f32 {
  let u = 0.7978845608028654 * v * (1.0 + 0.044715 * v * v);
  return v / (1.0 + exp(-clamp(2.0 * u, -80.0, 80.0)));
}
fn emit(at: u32, first: u32, values: array<f32, ROWS>) {
#repeat i ROWS
  // The second half of `values` is up's, and no output of its own.
  if ($iu < OUTPUTS && first + $iu < params.nOut) {
    y[at + first + $iu] = gelu(values[$i]) * values[min($iu + OUTPUTS, ROWS - 1u)];
  }
#end
}
