// y[T, modelDim] = x / sqrt(mean(x²) + eps) · weight.  The lanes of a set share a row.
#import "parts/fault.wgsl"
#import <lanes>

struct Params { nTokens: u32, modelDim: u32, stride: u32, eps: f32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;          // [T, stride]; what is past modelDim is zero
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;     // [stride]; what is past modelDim is zero
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;    // [T, stride]

@compute @workgroup_size(LANES_WORKGROUP)
fn rmsNormCooperative(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  if (faulted(params.stage)) { return; }
  let nVectors = params.stride / 4u;
  // Asked while every lane is here: inside the loop some may have left.
  let lanes = nLanes(); let sets = nSets(lanes); let lane = laneIndex(local);
  for (var token = workgroup.x * sets + laneSet(local, lanes); token < params.nTokens; token += workgroups.x * sets) {
    let row = token * nVectors;
    var squares = vec4f(0.0);
    for (var i = lane; i < nVectors; i += lanes) { squares += x[row + i] * x[row + i]; }
    let sum = laneSum(dot(squares, vec4f(1.0)), local);
    let scale = inverseSqrt(sum / f32(params.modelDim) + params.eps);
    for (var i = lane; i < nVectors; i += lanes) { y[row + i] = x[row + i] * scale * weight[i]; }
  }
}
