// Q4_K: nibbles as in Q4_0; beside each 256 four words: f16 d and dMin, then scales and minima. w = d·s·q - dMin·m.
#import "parts/scaleAndMin.wgsl"
const HAS_MIN = true;
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let a = main[mainBase + group];
  let low = a & vec4u(0x0f0f0f0fu); let high = (a >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
  let at = sideBase + (group >> 3u) * 4u;
  let scaled = unpack2x16float(side[at]) * scaleAndMin(at + 1u, group & 7u);
  return Group(array<vec4f, 8>(unpack4x8snorm(low.x), unpack4x8snorm(low.y), unpack4x8snorm(low.z), unpack4x8snorm(low.w),
    unpack4x8snorm(high.x), unpack4x8snorm(high.y), unpack4x8snorm(high.z), unpack4x8snorm(high.w)),
    127.0 * scaled.x, -scaled.y);
}
