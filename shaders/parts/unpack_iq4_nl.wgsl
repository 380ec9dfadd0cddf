// IQ4_NL: nibbles as in Q4_0 that name one of 16 values, one f16 scale; w = d·table[q].
const HAS_MIN = false;
const TABLE = array<f32, 16>(-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0,
  53.0, 69.0, 89.0, 113.0);
fn named(nibbles: u32) -> vec4f {
  return vec4f(TABLE[nibbles & 15u], TABLE[(nibbles >> 8u) & 15u], TABLE[(nibbles >> 16u) & 15u], TABLE[nibbles >> 24u]);
}
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let a = main[mainBase + group];
  let low = a & vec4u(0x0f0f0f0fu); let high = (a >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
  return Group(array<vec4f, 8>(named(low.x), named(low.y), named(low.z), named(low.w),
    named(high.x), named(high.y), named(high.z), named(high.w)),
    sideHalf(sideBase, group), 0.0);
}
