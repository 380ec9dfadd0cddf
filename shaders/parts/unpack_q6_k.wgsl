// Q6_K: low nibbles as in Q4_0; beside each 256 21 words: f16 d, signed scales of each 16 in four, two of upper bits, eight
// apart in a byte, for each 32. w = d·s·(q - 32). Two scales in a group: they are multiplied in here.
#import "parts/bytes.wgsl"
const HAS_MIN = false;
fn quants(low: u32, upper: u32, scale: f32) -> vec4f {
  return bytesOf(low | ((upper & 0x03030303u) << 4u)) * scale - vec4f(32.0 * scale);
}
fn scaleOf(word: u32, byte: u32) -> f32 { return f32(bitcast<i32>(word << (24u - 8u * byte)) >> 24u); }
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let a = main[mainBase + group];
  let low = a & vec4u(0x0f0f0f0fu); let high = (a >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
  let at = sideBase + (group >> 3u) * 21u; let i = group & 7u;
  let h0 = side[at + 5u + 2u * i]; let h1 = side[at + 6u + 2u * i];
  let d = unpack2x16float(side[at]).x;
  let scales = side[at + 1u + (i >> 1u)];
  let s0 = d * scaleOf(scales, 2u * (i & 1u)); let s1 = d * scaleOf(scales, 2u * (i & 1u) + 1u);
  return Group(array<vec4f, 8>(quants(low.x, h0, s0), quants(low.y, h1, s0), quants(low.z, h0 >> 2u, s0), quants(low.w, h1 >> 2u, s0),
    quants(high.x, h0 >> 4u, s1), quants(high.y, h1 >> 4u, s1), quants(high.z, h0 >> 6u, s1), quants(high.w, h1 >> 6u, s1)), 1.0, 0.0);
}
