// y[T, from offset] = change(y), value by value, in place.  One invocation for four.
#import "parts/fault.wgsl"
#import <change>

struct Params { nVectors: u32, strideVectors: u32, offsetVectors: u32, rowVectors: u32, rowStride: u32, amount: f32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;    // [T, stride]

@compute @workgroup_size(32)
fn pointwise(@builtin(global_invocation_id) id: vec3u) {
  if (faulted(params.stage) || id.x >= params.nVectors) { return; }
  let at = id.y * params.strideVectors + params.offsetVectors + id.x;
  y[at] = change(y[at], id.x);
}
