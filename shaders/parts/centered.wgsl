// What both families of layerNorm share: the row, and its values less their mean; what is past modelDim stays zero.
struct Params { nTokens: u32, modelDim: u32, stride: u32, eps: f32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;          // [T, stride]; what is past modelDim is zero
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;     // [stride]; what is past modelDim is zero
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;    // [T, stride]
fn centered(row: u32, i: u32, mean: f32) -> vec4f {
  let at = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
  return select(vec4f(0.0), x[row + i] - vec4f(mean), at < vec4u(params.modelDim));
}
