// gelu
#import "parts/gelu.wgsl"
fn change(value: vec4f, i: u32) -> vec4f { return vec4f(gelu(value.x), gelu(value.y), gelu(value.z), gelu(value.w)); }
