// Rotates q and k at their positions and appends k and v to the cache.  One invocation per pair of dimensions.
// Su et al. 2021; the angles come from the host in double precision: WGSL's sin and cos are good to 2⁻¹¹ only.
#import "parts/fault.wgsl"
#import <pairs>

struct Params { nTokens: u32, nHeads: u32, nKvHeads: u32, headDim: u32, ropeDim: u32, qkvStride: u32, qStride: u32,
  nCacheSlots: u32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;              // [T, (nHeads + 2 nKvHeads) · headDim]
@group(0) @binding(2) var<storage, read> angles: array<vec2f>;         // [T, ropeDim / 2] cos, sin
@group(0) @binding(3) var<storage, read> cacheSlots: array<u32>;       // [T] where each token's k and v go
@group(0) @binding(4) var<storage, read_write> q: array<f32>;          // [T, nHeads, headDim]
@group(0) @binding(5) var<storage, read_write> kCache: array<f32>;     // [nKvHeads, nCacheSlots, headDim]
@group(0) @binding(6) var<storage, read_write> vCache: array<f32>;     // [nKvHeads, nCacheSlots, headDim]

@compute @workgroup_size(16)
fn ropeAppend(@builtin(global_invocation_id) id: vec3u) {
  let pair = id.x; let head = id.y; let token = id.z;
  if (faulted(params.stage) || pair >= params.headDim / 2u) { return; }
  let source = token * params.qkvStride + head * params.headDim;
  let at = pairOf(pair);
  var value = vec2f(qkv[source + at.x], qkv[source + at.y]);
  let cacheRow = cacheSlots[token];
  if (head < params.nHeads + params.nKvHeads && 2u * pair < params.ropeDim) {
    let angle = angles[token * (params.ropeDim / 2u) + pair];
    value = vec2f(value.x * angle.x - value.y * angle.y, value.x * angle.y + value.y * angle.x);
  }
  if (head < params.nHeads) {
    let to = token * params.qStride + head * params.headDim;
    q[to + at.x] = value.x; q[to + at.y] = value.y;
  } else if (head < params.nHeads + params.nKvHeads) {
    let to = ((head - params.nHeads) * params.nCacheSlots + cacheRow) * params.headDim;
    kCache[to + at.x] = value.x; kCache[to + at.y] = value.y;
  } else {
    let to = ((head - params.nHeads - params.nKvHeads) * params.nCacheSlots + cacheRow) * params.headDim;
    vCache[to + at.x] = value.x; vCache[to + at.y] = value.y;
  }
}
