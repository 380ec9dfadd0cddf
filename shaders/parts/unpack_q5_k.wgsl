// Q5_K: nibbles as in Q4_0; beside each 256 twelve words: f16 d and dMin, scales and minima in three, the fifth bits of each
// 32. w = d·s·q - dMin·m.
#import "parts/bytes.wgsl"
#import "parts/scaleAndMin.wgsl"
#import "parts/fifths.wgsl"
const HAS_MIN = true;
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let at = sideBase + (group >> 3u) * 12u;
  let h = side[at + 4u + (group & 7u)];
  let a = main[mainBase + group];
  let low = (a & vec4u(0x0f0f0f0fu)) | lowFifths(h); let high = ((a >> vec4u(4u)) & vec4u(0x0f0f0f0fu)) | highFifths(h);
  let scaled = unpack2x16float(side[at]) * scaleAndMin(at + 1u, group & 7u);
  return Group(array<vec4f, 8>(bytesOf(low.x), bytesOf(low.y), bytesOf(low.z), bytesOf(low.w),
    bytesOf(high.x), bytesOf(high.y), bytesOf(high.z), bytesOf(high.w)), scaled.x, -scaled.y);
}
