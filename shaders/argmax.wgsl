// The id of the greatest logit; ties: the lowest id.  One workgroup: each invocation keeps the best of its share.
#import "parts/order.wgsl"

const LANES = 256u;
const LOADS = 4u;   // under way at once: nothing but this workgroup hides their latency
struct Params { nVocab: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;              // [nVocab]
@group(0) @binding(2) var<storage, read_write> sampled: array<u32>;       // [1] what the host reads back
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;        // [T] the next step's input

// Workgroup memory begins as zeros, so both start from the least.
var<workgroup> greatestKey: atomic<u32>;
var<workgroup> lowestId: atomic<u32>;    // its complement

@compute @workgroup_size(LANES)
fn argmax(@builtin(local_invocation_index) lane: u32) {
  let last = params.nVocab - 1u;
  var bestKey = 0u; var bestId = min(lane, last);
  for (var first = lane; first < params.nVocab; first += LOADS * LANES) {
    // Behind the end the last id is seen again, which changes nothing.
#repeat j LOADS
    let id$j = min(first + $ju * LANES, last); let key$j = keyOf(logits[id$j]);
#end
#repeat j LOADS
    if (key$j > bestKey) { bestKey = key$j; bestId = id$j; }
#end
  }
  atomicMax(&greatestKey, bestKey);
  workgroupBarrier();
  if (atomicLoad(&greatestKey) == bestKey) { atomicMax(&lowestId, ~bestId); }
  workgroupBarrier();
  if (lane == 0u) {
    // No number among them: the host is told, and the next step reads some id.
    let nothing = atomicLoad(&greatestKey) == 0u;
    let id = ~atomicLoad(&lowestId);
    sampled[0] = select(id, 0xffffffffu, nothing);
    tokens[0] = select(id, 0u, nothing);
  }
}
