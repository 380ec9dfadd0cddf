// x[T, modelDim] += gain · branch.
#import "parts/fault.wgsl"
#import <gain>

struct Params { nVectors: u32, gateStride: u32, scale: f32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> branch: array<vec4f>;     // [T, modelDim]
@group(0) @binding(2) var<storage, read_write> x: array<vec4f>;    // [T, modelDim]

@compute @workgroup_size(32)
fn addBranch(@builtin(global_invocation_id) id: vec3u) {
  if (faulted(params.stage) || id.x >= params.nVectors) { return; }
  let at = id.y * params.nVectors + id.x;
  x[at] += gain(id.y) * branch[at];
}
