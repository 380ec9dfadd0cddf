// Sorts (token, rank) pairs by expert, stably: sorted[starts[e] … starts[e + 1]) are the pairs routed to e, in order.
// A workgroup per expert, whose lanes share the pairs, each a stretch of them: it counts what is before its stretch's.
#import "parts/fault.wgsl"

struct Params { nPairs: u32, nExperts: u32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;               // [nPairs]
@group(0) @binding(2) var<storage, read_write> starts: array<u32>;      // [nExperts + 1]
@group(0) @binding(3) var<storage, read_write> sorted: array<u32>;      // [nPairs]

const N_LANES = 64u;
// Of each lane's stretch: pairs routed to lower experts, and to this one.
var<workgroup> lower: array<u32, N_LANES>;
var<workgroup> mine: array<u32, N_LANES>;

@compute @workgroup_size(N_LANES)
fn groupByExpertCooperative(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (faulted(params.stage)) { return; }
  let expert = workgroup.x;
  let stretch = (params.nPairs + N_LANES - 1u) / N_LANES;
  let first = min(lane * stretch, params.nPairs);
  let end = min(first + stretch, params.nPairs);
  var nLower = 0u; var nMine = 0u;
  for (var pair = first; pair < end; pair++) {
    nLower += select(0u, 1u, ids[pair] < expert);
    nMine += select(0u, 1u, ids[pair] == expert);
  }
  lower[lane] = nLower;
  mine[lane] = nMine;
  workgroupBarrier();
  var start = 0u; var at = 0u;
  for (var other = 0u; other < N_LANES; other++) {
    start += lower[other];
    at += select(0u, mine[other], other < lane);
  }
  if (lane == 0u) { starts[expert] = start; }
  at += start;
  for (var pair = first; pair < end; pair++) {
    if (ids[pair] != expert) { continue; }
    sorted[at] = pair;
    at++;
  }
}
