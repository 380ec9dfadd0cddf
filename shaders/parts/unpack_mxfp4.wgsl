// MXFP4: E2M1 nibbles in the order of Q4_0, an exponent byte a group; w = 2^(e - 128)·table[q], the table doubled.
#import "parts/named.wgsl"
const HAS_MIN = false;
const TABLE = array<f32, 16>(0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0);
// By its bits: below 2^-126 the exponent field is 0 and the mantissa holds the power.
fn powerOf(e: u32) -> f32 { return bitcast<f32>(select((e - 1u) << 23u, 0x00200000u << e, e < 2u)); }
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let a = main[mainBase + group];
  let low = a & vec4u(0x0f0f0f0fu); let high = (a >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
  let e = (side[sideBase + (group >> 2u)] >> (8u * (group & 3u))) & 255u;
  return Group(array<vec4f, 8>(named(low.x), named(low.y), named(low.z), named(low.w),
    named(high.x), named(high.y), named(high.z), named(high.w)),
    powerOf(e), 0.0);
}
