// A norm with a bias.
@group(0) @binding(4) var<storage, read> bias: array<vec4f>;       // [stride]; what is past modelDim is zero
fn shift(i: u32) -> vec4f { return bias[i]; }
