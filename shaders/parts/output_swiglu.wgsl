// y = silu(gate · x) ∘ (up · x), the rows of gate stacked over those of up. Shazeer 2020.
#import "parts/silu.wgsl"
const OUTPUTS = ROWS / 2u;
fn rowOf(first: u32, i: u32) -> u32 { return select(first + i, first + i - OUTPUTS + params.nOut, i >= OUTPUTS); }
fn emit(at: u32, first: u32, values: array<f32, ROWS>) {
#repeat i ROWS
  // The second half of `values` is up's, and no output of its own.
  if ($iu < OUTPUTS && first + $iu < params.nOut) {
    y[at + first + $iu] = silu(values[$i]) * values[min($iu + OUTPUTS, ROWS - 1u)];
  }
#end
}
