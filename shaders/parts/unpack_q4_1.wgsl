// Q4_1: nibbles as in Q4_0, a word of f16 d and m; w = d·q + m.
#import "parts/bytes.wgsl"
const HAS_MIN = true;
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let a = main[mainBase + group];
  let low = a & vec4u(0x0f0f0f0fu); let high = (a >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
  let dm = unpack2x16float(side[sideBase + group]);
  return Group(array<vec4f, 8>(bytesOf(low.x), bytesOf(low.y), bytesOf(low.z), bytesOf(low.w),
    bytesOf(high.x), bytesOf(high.y), bytesOf(high.z), bytesOf(high.w)), dm.x, dm.y);
}
