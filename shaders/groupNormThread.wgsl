// Of each row, nGroups groups of groupDim values from `offset` on, each v / sqrt(mean(v²) + eps) · weight, in place.  One
// invocation per group: no barrier, for software adapters.
#import "parts/fault.wgsl"
#import "parts/groups.wgsl"

@compute @workgroup_size(8)
fn groupNormThread(@builtin(global_invocation_id) id: vec3u) {
  if (faulted(params.stage) || id.x >= params.nTokens * params.nGroups) { return; }
  let first = firstOf(id.x);
  var squares = vec4f(0.0);
  for (var i = 0u; i < params.groupVectors; i++) { squares += y[first + i] * y[first + i]; }
  let scale = inverseSqrt(dot(squares, vec4f(1.0)) / f32(4u * params.groupVectors) + params.eps);
  for (var i = 0u; i < params.groupVectors; i++) { y[first + i] = y[first + i] * scale * weight[i]; }
}
