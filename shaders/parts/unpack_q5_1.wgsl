// Q5_1: nibbles as in Q4_0; beside them two words a group: f16 d and m, and the fifth bits. w = d·q + m.
#import "parts/fifths.wgsl"
const HAS_MIN = true;
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let dm = unpack2x16float(side[sideBase + group * 2u]);
  let h = side[sideBase + group * 2u + 1u];
  let a = main[mainBase + group];
  let low = (a & vec4u(0x0f0f0f0fu)) | lowFifths(h); let high = ((a >> vec4u(4u)) & vec4u(0x0f0f0f0fu)) | highFifths(h);
  return Group(array<vec4f, 8>(unpack4x8snorm(low.x), unpack4x8snorm(low.y), unpack4x8snorm(low.z), unpack4x8snorm(low.w),
    unpack4x8snorm(high.x), unpack4x8snorm(high.y), unpack4x8snorm(high.z), unpack4x8snorm(high.w)),
    127.0 * dm.x, dm.y);
}
