// y = W · x
const OUTPUTS = ROWS;
fn rowOf(first: u32, i: u32) -> u32 { return first + i; }
fn emit(at: u32, first: u32, values: array<f32, ROWS>) {
  var v = values;
  for (var i = 0u; i < ROWS; i++) { if (first + i < params.nOut) { y[at + first + i] = v[i]; } }
}
