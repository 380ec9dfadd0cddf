// y[T · k, expertDim] = (up + 1) · gate · sigmoid(1.702 gate), both biased, then clamped: gate to 7 at the most, up to ±7
// (gpt-oss).  One invocation for four values; pairs whose expert is not in a slot are left as they were.
#import "parts/fault.wgsl"

struct Params { nVectors: u32, gateUpStride: u32, biasStride: u32, absent: u32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gateUp: array<f32>;       // [T · k, gate | up]
@group(0) @binding(2) var<storage, read> gateBias: array<vec4f>;   // [nExperts, expertDim]
@group(0) @binding(3) var<storage, read> upBias: array<vec4f>;     // [nExperts, expertDim]
@group(0) @binding(4) var<storage, read> ids: array<u32>;          // [T · k]
@group(0) @binding(5) var<storage, read> slots: array<u32>;        // [T · k] or absent
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>;    // [T · k, expertDim]

const ALPHA = 1.702;
const LIMIT = 7.0;

fn rowOf(at: u32) -> vec4f { return vec4f(gateUp[at], gateUp[at + 1u], gateUp[at + 2u], gateUp[at + 3u]); }

@compute @workgroup_size(32)
fn activateExperts(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x; let pair = id.y;
  if (faulted(params.stage) || i >= params.nVectors || slots[pair] == params.absent) { return; }
  let begin = pair * params.gateUpStride + 4u * i;
  let bias = ids[pair] * params.biasStride + i;
  let gate = min(rowOf(begin) + gateBias[bias], vec4f(LIMIT));
  let up = clamp(rowOf(begin + 4u * params.nVectors) + upBias[bias], vec4f(-LIMIT), vec4f(LIMIT));
  // The clamp keeps exp finite: WGSL leaves overflow undefined.
  y[pair * params.biasStride + i] = (up + 1.0) * gate / (1.0 + exp(-max(ALPHA * gate, vec4f(-80.0))));
}
