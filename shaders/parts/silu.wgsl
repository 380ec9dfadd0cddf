// silu. The clamp keeps exp finite: WGSL leaves overflow undefined.
fn silu(v: f32) -> f32 { return v / (1.0 + exp(-clamp(v, -80.0, 80.0))); }
