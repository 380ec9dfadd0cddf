// y[T, modelDim] = x / sqrt(mean(x²) + eps) · weight.  One invocation per row: no barrier, for software adapters.
#import "parts/fault.wgsl"

struct Params { nTokens: u32, modelDim: u32, stride: u32, eps: f32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;          // [T, stride]; what is past modelDim is zero
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;     // [stride]; what is past modelDim is zero
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;    // [T, stride]

@compute @workgroup_size(4)
fn rmsNormThread(@builtin(global_invocation_id) id: vec3u) {
  if (faulted(params.stage) || id.x >= params.nTokens) { return; }
  let nVectors = params.stride / 4u;
  let row = id.x * nVectors;
  var squares = vec4f(0.0);
  for (var i = 0u; i < nVectors; i++) { squares += x[row + i] * x[row + i]; }
  let scale = inverseSqrt(dot(squares, vec4f(1.0)) / f32(params.modelDim) + params.eps);
  for (var i = 0u; i < nVectors; i++) { y[row + i] = x[row + i] * scale * weight[i]; }
}
