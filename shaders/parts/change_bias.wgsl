// + bias, which lies in rows of rowVectors, each padded to rowStride.
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
fn change(value: vec4f, i: u32) -> vec4f {
  return value + bias[(i / params.rowVectors) * params.rowStride + i % params.rowVectors];
}
