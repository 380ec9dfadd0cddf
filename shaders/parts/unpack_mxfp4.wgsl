// MXFP4: E2M1 nibbles in the order of Q4_0, an exponent byte a group; w = 2^(e - 128)·(2·E2M1).
#import "parts/bytes.wgsl"
const HAS_MIN = false;
// Sixteen times each byte's E2M1, as a signed byte. Of three bits m twice a number is m up to 4, then 6, 8, 12: m and something
// more. All bytes at once and by products: on software adapters a table's index that only the invocation knows is slow, and so
// is a shift.
fn sixteenfold(nibbles: vec4u) -> vec4u {
  let ones = (nibbles & vec4u(0x01010101u)) * 8u; let twos = (nibbles & vec4u(0x02020202u)) * 4u;
  let fours = (nibbles & vec4u(0x04040404u)) * 2u;
  let more = fours & twos;
  let magnitude = (nibbles & vec4u(0x07070707u)) * 8u + (fours & ones) + (more + (more & ones)) * 2u;
  // No minus nothing: its carry would reach the next byte. The last three bits of all are 0.
  let minus = nibbles & (ones | twos | fours);
  return (magnitude ^ (minus * 31u)) + minus;
}
// By its bits: below 2^-126 the exponent field is 0 and the mantissa holds the power.
fn powerOf(e: u32) -> f32 { return bitcast<f32>(select((e - 1u) << 23u, 0x00200000u << e, e < 2u)); }
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let a = main[mainBase + group];
  let low = sixteenfold(a & vec4u(0x0f0f0f0fu)); let high = sixteenfold((a >> vec4u(4u)) & vec4u(0x0f0f0f0fu));
  let e = (side[sideBase + (group >> 2u)] >> (8u * (group & 3u))) & 255u;
  // The eighth is not the scale's, which may be so small that an eighth of it is none. Of larger powers f32 does not hold all
  // that a nibble means.
  return Group(array<vec4f, 8>(signedEighthsOf(low.x), signedEighthsOf(low.y), signedEighthsOf(low.z),
    signedEighthsOf(low.w), signedEighthsOf(high.x), signedEighthsOf(high.y), signedEighthsOf(high.z), signedEighthsOf(high.w)),
    powerOf(min(e, 252u)), 0.0);
}
