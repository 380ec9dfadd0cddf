// Q2_K: 2-bit quants eight apart in a byte; beside each 256 five words: f16 d and dMin, then a byte of scale and minimum for
// each 16. w = d·s·q - dMin·m. Two scales in a group: they are multiplied in here.
#import "parts/bytes.wgsl"
const HAS_MIN = false;
fn quants(word: u32, scale: f32, min: f32) -> vec4f { return bytesOf(word & 0x03030303u) * scale - vec4f(min); }
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let vector = main[mainBase + (group >> 1u)];
  let a = select(vector.xy, vector.zw, (group & 1u) == 1u);
  let at = sideBase + (group >> 3u) * 5u; let i = group & 7u;
  let d = unpack2x16float(side[at]);
  let scales = side[at + 1u + (i >> 1u)] >> (16u * (i & 1u));
  let s0 = d.x * f32(scales & 15u); let m0 = d.y * f32((scales >> 4u) & 15u);
  let s1 = d.x * f32((scales >> 8u) & 15u); let m1 = d.y * f32((scales >> 12u) & 15u);
  return Group(array<vec4f, 8>(quants(a.x, s0, m0), quants(a.y, s0, m0), quants(a.x >> 2u, s0, m0), quants(a.y >> 2u, s0, m0),
    quants(a.x >> 4u, s1, m1), quants(a.y >> 4u, s1, m1), quants(a.x >> 6u, s1, m1), quants(a.y >> 6u, s1, m1)), 1.0, 0.0);
}
