#import "parts/gelu.wgsl"
fn activation(v: f32) -> f32 { return gelu(v); }
