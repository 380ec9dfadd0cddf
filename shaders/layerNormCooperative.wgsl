// y[T, modelDim] = (x - mean) / sqrt(variance + eps) · weight + shift.  The lanes of a set share a row.
#import "parts/fault.wgsl"
#import "parts/centered.wgsl"
#import <shift>
#import <lanes>

@compute @workgroup_size(LANES_WORKGROUP)
fn layerNormCooperative(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  if (faulted(params.stage)) { return; }
  let nVectors = params.stride / 4u;
  // Asked while every lane is here: inside the loop some may have left.
  let lanes = nLanes(); let sets = nSets(lanes); let lane = laneIndex(local);
  for (var token = workgroup.x * sets + laneSet(local, lanes); token < params.nTokens; token += workgroups.x * sets) {
    let row = token * nVectors;
    var sum = vec4f(0.0);
    for (var i = lane; i < nVectors; i += lanes) { sum += x[row + i]; }
    let mean = laneSum(dot(sum, vec4f(1.0)), local) / f32(params.modelDim);
    var squares = vec4f(0.0);
    for (var i = lane; i < nVectors; i += lanes) { let v = centered(row, i, mean); squares += v * v; }
    let scale = inverseSqrt(laneSum(dot(squares, vec4f(1.0)), local) / f32(params.modelDim) + params.eps);
    for (var i = lane; i < nVectors; i += lanes) { y[row + i] = centered(row, i, mean) * scale * weight[i] + shift(i); }
  }
}
