// Sorts (token, rank) pairs by expert, stably: sorted[starts[e] … starts[e + 1]) are the pairs routed to e, in order.
// One invocation per expert, which goes over all pairs twice: no barrier, for software adapters.
#import "parts/fault.wgsl"

struct Params { nPairs: u32, nExperts: u32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;               // [nPairs]
@group(0) @binding(2) var<storage, read_write> starts: array<u32>;      // [nExperts + 1]
@group(0) @binding(3) var<storage, read_write> sorted: array<u32>;      // [nPairs]

@compute @workgroup_size(4)
fn groupByExpertThread(@builtin(global_invocation_id) id: vec3u) {
  let expert = id.x;
  if (faulted(params.stage) || expert > params.nExperts) { return; }
  var at = 0u;
  for (var pair = 0u; pair < params.nPairs; pair++) { at += select(0u, 1u, ids[pair] < expert); }
  starts[expert] = at;
  // Nobody is routed to one more than there are.
  if (expert == params.nExperts) { return; }
  for (var pair = 0u; pair < params.nPairs; pair++) {
    if (ids[pair] != expert) { continue; }
    sorted[at] = pair;
    at++;
  }
}
