// y = silu(gate · x) ∘ (up · x), the rows of gate stacked over those of up. Shazeer 2020.
const OUTPUTS = ROWS / 2u;
fn rowOf(first: u32, i: u32) -> u32 { return select(first + i, first + i - OUTPUTS + params.nOut, i >= OUTPUTS); }
// The clamp keeps exp finite: WGSL leaves overflow undefined.
fn silu(v: f32) -> f32 { return v / (1.0 + exp(-clamp(v, -80.0, 80.0))); }
fn emit(at: u32, first: u32, values: array<f32, ROWS>) {
#repeat i ROWS
  // The second half of `values` is up's, and no output of its own.
  if ($iu < OUTPUTS && first + $iu < params.nOut) {
    y[at + first + $iu] = silu(values[$i]) * values[min($iu + OUTPUTS, ROWS - 1u)];
  }
#end
}
