// Sorts (token, rank) pairs by expert, stably: sorted[starts[e] … starts[e + 1]) are the pairs routed to e, in order.
// Each invocation counts what comes before it; integers, so the order is exact whatever the schedule.
#import "parts/fault.wgsl"

struct Params { nPairs: u32, nExperts: u32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;               // [nPairs]
@group(0) @binding(2) var<storage, read_write> starts: array<u32>;      // [nExperts + 1]
@group(0) @binding(3) var<storage, read_write> sorted: array<u32>;      // [nPairs]

@compute @workgroup_size(16)
fn groupByExpert(@builtin(global_invocation_id) id: vec3u) {
  if (faulted(params.stage)) { return; }
  let i = id.x;
  if (i <= params.nExperts) {
    var before = 0u;
    for (var pair = 0u; pair < params.nPairs; pair++) { before += select(0u, 1u, ids[pair] < i); }
    starts[i] = before;
  }
  if (i < params.nPairs) {
    let expert = ids[i];
    var before = 0u;
    for (var pair = 0u; pair < params.nPairs; pair++) {
      before += select(0u, 1u, ids[pair] < expert || (ids[pair] == expert && pair < i));
    }
    sorted[before] = i;
  }
}
