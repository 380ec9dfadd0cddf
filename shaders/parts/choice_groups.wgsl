// As by choice_all, but only experts of the nGroupsUsed groups that come first by the sum of their two best scores
// (DeepSeek-V3). `groups` has a bit for each of at most 32.
struct Choice { gate: Gate, groups: u32 }
fn plainScore(gate: Gate, row: u32, expert: u32) -> f32 {
  return ordered(probability(gate, logits[row + expert]) + biasOf(expert));
}
fn groupScore(gate: Gate, row: u32, group: u32) -> f32 {
  let size = params.nExperts / params.nGroups;
  var best = -3.4028234e38; var second = -3.4028234e38;
  for (var i = 0u; i < size; i++) {
    let score = plainScore(gate, row, group * size + i);
    if (score > best) { second = best; best = score; } else { second = max(second, score); }
  }
  // A group of one has no second; of NaN, which is as little as can be, none is added.
  return best + select(max(second, -1e30), 0.0, size == 1u);
}
fn choiceOf(row: u32) -> Choice {
  let gate = gateOf(row);
  var scores: array<f32, 32>;
  for (var group = 0u; group < params.nGroups; group++) { scores[group] = groupScore(gate, row, group); }
  var groups = 0u;
  for (var group = 0u; group < params.nGroups; group++) {
    var rank = 0u;
    for (var other = 0u; other < params.nGroups; other++) {
      if (scores[other] > scores[group] || (scores[other] == scores[group] && other < group)) { rank++; }
    }
    if (rank < params.nGroupsUsed) { groups |= 1u << group; }
  }
  return Choice(gate, groups);
}
fn scoreOf(choice: Choice, row: u32, expert: u32) -> f32 {
  let group = expert / (params.nExperts / params.nGroups);
  return select(-3.4028234e38, plainScore(choice.gate, row, expert), ((choice.groups >> group) & 1u) == 1u);
}
fn weightOf(choice: Choice, row: u32, expert: u32, mine: f32, greatest: f32) -> f32 {
  return probability(choice.gate, logits[row + expert]);
}
