// IQ4_NL: nibbles as in Q4_0 that name one of 16 values, one f16 scale; w = d·table[q].
#import "parts/iq4Table.wgsl"
const HAS_MIN = false;
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let a = main[mainBase + group];
  let low = a & vec4u(0x0f0f0f0fu); let high = (a >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
  return Group(array<vec4f, 8>(named(low.x), named(low.y), named(low.z), named(low.w),
    named(high.x), named(high.y), named(high.z), named(high.w)),
    sideHalf(sideBase, group), 0.0);
}
