// Ranked by probability plus bias, weighted by probability.
struct Choice { gate: Gate }
fn choiceOf(row: u32) -> Choice { return Choice(gateOf(row)); }
fn scoreOf(choice: Choice, row: u32, expert: u32) -> f32 {
  return ordered(probability(choice.gate, logits[row + expert]) + biasOf(expert));
}
fn weightOf(choice: Choice, row: u32, expert: u32, mine: f32, greatest: f32) -> f32 {
  return probability(choice.gate, logits[row + expert]);
}
