// Q5_1: nibbles as in Q4_0; beside them two words a group: f16 d and m, and the fifth bits. w = d·q + m.
#import "parts/bytes.wgsl"
#import "parts/fifths.wgsl"
const HAS_MIN = true;
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let dm = unpack2x16float(side[sideBase + group * 2u]);
  let h = side[sideBase + group * 2u + 1u];
  let a = main[mainBase + group];
  let low = (a & vec4u(0x0f0f0f0fu)) | lowFifths(h); let high = ((a >> vec4u(4u)) & vec4u(0x0f0f0f0fu)) | highFifths(h);
  return Group(array<vec4f, 8>(bytesOf(low.x), bytesOf(low.y), bytesOf(low.z), bytesOf(low.w),
    bytesOf(high.x), bytesOf(high.y), bytesOf(high.z), bytesOf(high.w)), dm.x, dm.y);
}
