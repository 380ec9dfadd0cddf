// y[T, modelDim] = (x - mean) / sqrt(variance + eps) · weight + shift.  One invocation per row: no barrier, for software
// adapters.
#import "parts/fault.wgsl"
#import "parts/centered.wgsl"
#import <shift>

@compute @workgroup_size(4)
fn layerNormThread(@builtin(global_invocation_id) id: vec3u) {
  if (faulted(params.stage) || id.x >= params.nTokens) { return; }
  let nVectors = params.stride / 4u;
  let row = id.x * nVectors;
  var sum = vec4f(0.0);
  for (var i = 0u; i < nVectors; i++) { sum += x[row + i]; }
  let mean = dot(sum, vec4f(1.0)) / f32(params.modelDim);
  var squares = vec4f(0.0);
  for (var i = 0u; i < nVectors; i++) { let v = centered(row, i, mean); squares += v * v; }
  let scale = inverseSqrt(dot(squares, vec4f(1.0)) / f32(params.modelDim) + params.eps);
  for (var i = 0u; i < nVectors; i++) { y[row + i] = centered(row, i, mean) * scale * weight[i] + shift(i); }
}
