// y[T, nHeads, plainDim] = Σ_r latent[T, r] · w[head, r, plainDim]: keys from a latent vector, by a matrix that lies with
// its rows along what comes out, as files have it for the queries to be multiplied by. One invocation for 32 values.
#import "parts/fault.wgsl"
#import "parts/weights.wgsl"
#import <unpack>

struct Params { nHeads: u32, rank: u32, nGroups: u32, plainDim: u32, latentStride: u32, yStride: u32, mainBase: u32,
  sideBase: u32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> latent: array<f32>;        // [T, rank]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;       // [T, nHeads, plainDim]

@compute @workgroup_size(16)
fn latentKeys(@builtin(global_invocation_id) id: vec3u) {
  let head = id.x / params.nGroups; let group = id.x % params.nGroups; let token = id.y;
  if (faulted(params.stage) || head >= params.nHeads) { return; }
  var sums: array<vec4f, 8>;
  for (var r = 0u; r < params.rank; r++) {
    var w = unpack(params.mainBase, params.sideBase, (head * params.rank + r) * params.nGroups + group);
    let value = latent[token * params.latentStride + r];
    for (var i = 0u; i < 8u; i++) { sums[i] += value * (w.q[i] * w.d + vec4f(w.m)); }
  }
  let to = token * params.yStride + head * params.plainDim;
  for (var i = group * 32u; i < min(group * 32u + 32u, params.plainDim); i++) {
    y[to + i] = sums[(i / 4u) % 8u][i % 4u];
  }
}
