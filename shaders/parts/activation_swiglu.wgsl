#import "parts/silu.wgsl"
fn activation(v: f32) -> f32 { return silu(v); }
