// qkv[T, q | k | v] of latent attention as of any other: of each head's query and key the rotated dimensions first, those
// of the key one for all heads. DeepSeek-V2, section 2.1.  One invocation per value.
#import "parts/fault.wgsl"

struct Params { nHeads: u32, plainDim: u32, ropeDim: u32, valueDim: u32, qStride: u32, kStride: u32, kHeadStride: u32,
  vStride: u32, vHeadStride: u32, vOffset: u32, ropeStride: u32, qkvStride: u32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>;             // [T, nHeads, plainDim + ropeDim]
@group(0) @binding(2) var<storage, read> keys: array<f32>;          // [T, nHeads, plainDim] in steps of kHeadStride
@group(0) @binding(3) var<storage, read> keyRope: array<f32>;       // [T, ropeDim]
@group(0) @binding(4) var<storage, read> values: array<f32>;        // [T, nHeads, valueDim] in steps of vHeadStride
@group(0) @binding(5) var<storage, read_write> qkv: array<f32>;     // [T, q | k | v]

@compute @workgroup_size(32)
fn latentHeads(@builtin(global_invocation_id) id: vec3u) {
  let token = id.y;
  let headDim = params.plainDim + params.ropeDim;
  let nKeys = params.nHeads * headDim;
  if (faulted(params.stage) || id.x >= 2u * nKeys + params.nHeads * params.valueDim) { return; }
  var value = 0.0;
  if (id.x >= 2u * nKeys) {
    let at = id.x - 2u * nKeys;
    let head = at / params.valueDim;
    value = values[token * params.vStride + head * params.vHeadStride + params.vOffset + at % params.valueDim];
  } else {
    let at = id.x % nKeys; let head = at / headDim; let i = at % headDim;
    let isRotated = i < params.ropeDim;
    if (id.x < nKeys) {
      value = q[token * params.qStride + head * headDim + select(i - params.ropeDim, params.plainDim + i, isRotated)];
    } else if (isRotated) {
      value = keyRope[token * params.ropeStride + i];
    } else {
      value = keys[token * params.kStride + head * params.kHeadStride + i - params.ropeDim];
    }
  }
  qkv[token * params.qkvStride + id.x] = value;
}
