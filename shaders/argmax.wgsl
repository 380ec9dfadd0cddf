// Of each row the id of the greatest logit; ties: the lowest id.  One workgroup a row: each invocation keeps the best of
// its share.
#import "parts/fault.wgsl"
#import "parts/order.wgsl"

const LANES = 256u;
const LOADS = 4u;   // under way at once: nothing but this workgroup hides their latency
struct Params { nVocab: u32, logitStride: u32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;              // [R, logitStride]
@group(0) @binding(2) var<storage, read_write> sampled: array<u32>;       // [R] what the host reads back
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;        // [R] the next step's input

// Workgroup memory begins as zeros, so both start from the least.
var<workgroup> greatestKey: atomic<u32>;
var<workgroup> lowestId: atomic<u32>;    // its complement

@compute @workgroup_size(LANES)
fn argmax(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = workgroup.x; let base = row * params.logitStride;
  let last = params.nVocab - 1u;
  var bestKey = 0u; var bestId = min(lane, last);
  for (var first = lane; first < params.nVocab; first += LOADS * LANES) {
    // Behind the end the last id is seen again, which changes nothing.
#repeat j LOADS
    let id$j = min(first + $ju * LANES, last); let key$j = keyOf(logits[base + id$j]);
#end
#repeat j LOADS
    if (key$j > bestKey) { bestKey = key$j; bestId = id$j; }
#end
  }
  atomicMax(&greatestKey, bestKey);
  workgroupBarrier();
  if (atomicLoad(&greatestKey) == bestKey) { atomicMax(&lowestId, ~bestId); }
  workgroupBarrier();
  // Behind a miss the ids are still the step's input.
  if (lane == 0u && !faulted(params.stage)) {
    // No number among them: the host is told, and the next step reads some id.
    let nothing = atomicLoad(&greatestKey) == 0u;
    let id = ~atomicLoad(&lowestId);
    sampled[row] = select(id, 0xffffffffu, nothing);
    tokens[row] = select(id, 0u, nothing);
  }
}
