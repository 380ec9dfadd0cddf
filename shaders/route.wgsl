// Top-k gating.  Each expert counts how many beat it (ties: the lower id wins); the k with fewer than k are chosen, in
// rank order.  No sort, no barrier, the same on every adapter.  The sum of the weights is the reader's.
#import <slots>

struct Params { nExperts: u32, nExpertsUsed: u32, nGroups: u32, nGroupsUsed: u32, logitStride: u32, layer: u32,
  allStage: u32, absent: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;               // [T, nExperts]
@group(0) @binding(3) var<storage, read_write> ids: array<u32>;            // [T, nExpertsUsed]
@group(0) @binding(4) var<storage, read_write> routeWeights: array<f32>;   // [T, nExpertsUsed]

// NaN by its bits: a comparison may be folded away. It never wins: it becomes the least f32, every number at least the
// next, and infinities finite, for their difference would be NaN.
fn ordered(value: f32) -> f32 {
  let isNaN = (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
  return select(clamp(value, -3.4028232e38, 3.4028232e38), -3.4028234e38, isNaN);
}
#import <gating>
#import <bias>
#import <choice>

@compute @workgroup_size(16)
fn route(@builtin(global_invocation_id) id: vec3u) {
  let expert = id.x; let token = id.y;
  // A miss further up: this layer's input is not there yet.
  if (expert >= params.nExperts || behindMiss(params.allStage)) { return; }
  let row = token * params.logitStride;
  let choice = choiceOf(row);
  let mine = scoreOf(choice, row, expert);
  var rank = 0u; var greatest = mine;
  for (var other = 0u; other < params.nExperts; other++) {
    let value = scoreOf(choice, row, other);
    if (value > mine || (value == mine && other < expert)) { rank++; }
    greatest = max(greatest, value);
  }
  if (rank >= params.nExpertsUsed) { return; }
  let at = token * params.nExpertsUsed + rank;
  ids[at] = expert;
  routeWeights[at] = weightOf(choice, row, expert, mine, greatest);
  place(at, expert);
}
