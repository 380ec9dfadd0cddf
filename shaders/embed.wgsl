// x[T, modelDim] = scale · rows `tokens` of the embedding matrix.  One invocation for 32 values.
#import "parts/weights.wgsl"
#import <unpack>

struct Params {
  nTokens: u32,
  nVocab: u32,
  firstRow: u32,    // of the bound rows
  nRows: u32,
  nGroups: u32,
  mainBase: u32,
  sideBase: u32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> tokens: array<u32>;        // [T]
@group(0) @binding(4) var<storage, read_write> x: array<vec4f>;     // [T, modelDim]

@compute @workgroup_size(16)
fn embed(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.nGroups || id.y >= params.nTokens) { return; }
  // Of a row before the first one it is a number beyond the last.
  let row = min(tokens[id.y], params.nVocab - 1u) - params.firstRow;
  if (row >= params.nRows) { return; }
  var w = unpack(params.mainBase, params.sideBase, row * params.nGroups + id.x);
  let at = (id.y * params.nGroups + id.x) * 8u;
  for (var i = 0u; i < 8u; i++) { x[at + i] = (w.q[i] * w.d + vec4f(w.m)) * params.scale; }
}
