// A quantized matrix on the GPU: a main plane of 16-byte vectors and a side plane of scales, row-major, in groups of 32.
@group(0) @binding(1) var<storage, read> main: array<vec4u>;
@group(0) @binding(2) var<storage, read> side: array<u32>;

// 32 consecutive weights of a row: w = d·q + m. A weight's bits are the same on every device, whatever it fuses or reorders:
// q is whole (or a float as the file has it), d an f16 or one times a small integer, so that d·q fits the 24 bits of an f32,
// and so does m. One sum is rounded; of F8_E4M3, whose d is any f32, one product.
struct Group { q: array<vec4f, 8>, d: f32, m: f32 }

// One f16 of the side plane, which holds two to a word.
// Shifted into place: an index into a vector that only the invocation knows is slow on software adapters.
fn sideHalf(base: u32, index: u32) -> f32 {
  return unpack2x16float(side[base + (index >> 1u)] >> ((index & 1u) * 16u)).x;
}
