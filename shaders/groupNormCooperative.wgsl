// Of each row, nGroups groups of groupDim values from `offset` on, each v / sqrt(mean(v²) + eps) · weight, in place.  The
// lanes of a set share a group.
#import "parts/fault.wgsl"
#import "parts/groups.wgsl"
#import <lanes>

@compute @workgroup_size(LANES_WORKGROUP)
fn groupNormCooperative(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  if (faulted(params.stage)) { return; }
  // Asked while every lane is here: inside the loop some may have left.
  let lanes = nLanes(); let sets = nSets(lanes); let lane = laneIndex(local);
  let n = params.nTokens * params.nGroups;
  for (var group = workgroup.x * sets + laneSet(local, lanes); group < n; group += workgroups.x * sets) {
    let first = firstOf(group);
    var squares = vec4f(0.0);
    for (var i = lane; i < params.groupVectors; i += lanes) { squares += y[first + i] * y[first + i]; }
    let sum = laneSum(dot(squares, vec4f(1.0)), local);
    let scale = inverseSqrt(sum / f32(4u * params.groupVectors) + params.eps);
    for (var i = lane; i < params.groupVectors; i += lanes) { y[first + i] = y[first + i] * scale * weight[i]; }
  }
}
