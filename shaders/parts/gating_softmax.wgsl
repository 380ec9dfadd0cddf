// A probability among all experts.
struct Gate { greatest: f32, sum: f32 }
fn gateOf(row: u32) -> Gate {
  var greatest = ordered(logits[row]);
  for (var expert = 1u; expert < params.nExperts; expert++) { greatest = max(greatest, ordered(logits[row + expert])); }
  var sum = 0.0;
  for (var expert = 0u; expert < params.nExperts; expert++) { sum += exp(max(ordered(logits[row + expert]) - greatest, -80.0)); }
  return Gate(greatest, sum);
}
fn probability(gate: Gate, logit: f32) -> f32 { return exp(max(ordered(logit) - gate.greatest, -80.0)) / gate.sum; }
