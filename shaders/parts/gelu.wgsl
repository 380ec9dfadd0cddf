// gelu(v) by its tanh form (Hendrycks & Gimpel 2016): (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)). The clamp keeps exp finite:
// WGSL leaves overflow undefined.
fn gelu(v: f32) -> f32 {
  let u = 0.7978845608028654 * v * (1.0 + 0.044715 * v * v);
  return v / (1.0 + exp(-clamp(2.0 * u, -80.0, 80.0)));
}
