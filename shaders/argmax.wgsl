// The id of the greatest logit; ties: the lowest id.  One workgroup: each invocation keeps the best of its share.
#import "parts/order.wgsl"

const LANES = 64u;
struct Params { nVocab: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;              // [nVocab]
@group(0) @binding(2) var<storage, read_write> sampled: array<u32>;       // [1] what the host reads back
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;        // [T] the next step's input

var<workgroup> keys: array<u32, LANES>;
var<workgroup> ids: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn argmax(@builtin(local_invocation_index) lane: u32) {
  var bestKey = 0u; var bestId = lane;
  for (var id = lane; id < params.nVocab; id += LANES) {
    let key = keyOf(logits[id]);
    if (key > bestKey) { bestKey = key; bestId = id; }
  }
  keys[lane] = bestKey; ids[lane] = bestId;
  workgroupBarrier();
  if (lane != 0u) { return; }
  for (var other = 1u; other < LANES; other++) {
    if (keys[other] > bestKey || (keys[other] == bestKey && ids[other] < bestId)) { bestKey = keys[other]; bestId = ids[other]; }
  }
  sampled[0] = min(bestId, params.nVocab - 1u);
  tokens[0] = sampled[0];
}
