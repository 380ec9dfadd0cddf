// Q3_K: 2-bit quants eight apart in a byte; beside each 256 twelve words: f16 d, 6-bit scales in three, the third bits of each
// 32. w = d·(s - 32)·(q - 4). Two scales in a group: they are multiplied in here.
#import "parts/bytes.wgsl"
const HAS_MIN = false;
// Four bits to the third bit of four bytes.
fn thirds(bits: u32) -> u32 { return (((bits & 15u) * 0x00204081u) & 0x01010101u) << 2u; }
fn quants(word: u32, bits: u32, scale: f32) -> vec4f {
  return bytesOf((word & 0x03030303u) | thirds(bits)) * scale - vec4f(4.0 * scale);
}
fn scaleOf(at: u32, sixteen: u32) -> f32 {
  let byte = sixteen & 7u;
  let low = (side[at + 1u + (byte >> 2u)] >> (8u * (byte & 3u) + 4u * (sixteen >> 3u))) & 15u;
  let high = (side[at + 3u] >> (8u * (sixteen & 3u) + 2u * (sixteen >> 2u))) & 3u;
  return f32(low | (high << 4u)) - 32.0;
}
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let vector = main[mainBase + (group >> 1u)];
  let a = select(vector.xy, vector.zw, (group & 1u) == 1u);
  let at = sideBase + (group >> 3u) * 12u; let i = group & 7u;
  let d = unpack2x16float(side[at]).x;
  let h = side[at + 4u + i];
  let s0 = d * scaleOf(at, 2u * i); let s1 = d * scaleOf(at, 2u * i + 1u);
  return Group(array<vec4f, 8>(quants(a.x, h, s0), quants(a.y, h >> 4u, s0), quants(a.x >> 2u, h >> 8u, s0),
    quants(a.y >> 2u, h >> 12u, s0), quants(a.x >> 4u, h >> 16u, s1), quants(a.y >> 4u, h >> 20u, s1),
    quants(a.x >> 6u, h >> 24u, s1), quants(a.y >> 6u, h >> 28u, s1)), 1.0, 0.0);
}
