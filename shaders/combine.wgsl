// y[T, modelDim] += Σ_rank weight · expert output / divisor, summed in rank order by the invocation that owns the value. The
// divisor is inverseScale, times the sum of the weights if they are to sum to 1. A weight of 0 is that of an expert that was
// left out, whose output is whatever was there: it may be no number.
#import "parts/fault.wgsl"
#import <outputs>

struct Params { nVectors: u32, nExpertsUsed: u32, renormalise: u32, inverseScale: f32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> outputs: array<vec4f>;        // [T, nExpertsUsed, modelDim]
@group(0) @binding(2) var<storage, read> routeWeights: array<f32>;     // [T, nExpertsUsed]
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;        // [T, modelDim]

@compute @workgroup_size(16)
fn combine(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x; let token = id.y;
  if (faulted(params.stage) || i >= params.nVectors) { return; }
  let first = token * params.nExpertsUsed;
  var sum = 0.0; var mixed = vec4f(0.0);
  for (var rank = 0u; rank < params.nExpertsUsed; rank++) {
    let weight = routeWeights[first + rank];
    sum += weight;
    if (weight > 0.0) { mixed += weight * outputOf(first + rank, i); }
  }
  y[token * params.nVectors + i] += mixed / (select(1.0, sum, params.renormalise == 1u) * params.inverseScale);
}
