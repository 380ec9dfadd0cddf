// y += scale · W · x
const OUTPUTS = ROWS;
fn rowOf(first: u32, i: u32) -> u32 { return first + i; }
fn emit(at: u32, first: u32, values: array<f32, ROWS>) {
#repeat i ROWS
  if (first + $iu < params.nOut) { y[at + first + $iu] += params.scale * values[$i]; }
#end
}
