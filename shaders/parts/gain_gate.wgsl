// · sigmoid of each token's own gate (Qwen2-MoE's shared expert).
@group(0) @binding(3) var<storage, read> gate: array<f32>;         // [T], in rows of gateStride
fn gain(token: u32) -> f32 {
  // The clamp keeps exp finite: WGSL leaves overflow undefined.
  return params.scale / (1.0 + exp(-clamp(gate[token * params.gateStride], -80.0, 80.0)));
}
