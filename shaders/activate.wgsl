// y[T, dim] = activation(gate) ∘ up, of rows of gate | up that something was added to.  One invocation for a value.
#import "parts/fault.wgsl"
#import <activation>

struct Params { dim: u32, gateUpStride: u32, yStride: u32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gateUp: array<f32>;     // [T, gate | up]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;    // [T, dim]

@compute @workgroup_size(32)
fn activate(@builtin(global_invocation_id) id: vec3u) {
  if (faulted(params.stage) || id.x >= params.dim) { return; }
  let at = id.y * params.gateUpStride + id.x;
  y[id.y * params.yStride + id.x] = activation(gateUp[at]) * gateUp[at + params.dim];
}
