// Q4_0: byte j holds weight j low and weight j + 16 high, one f16 scale; w = d·(q - 8). Nibbles are spread to bytes and
// read as snorm, q / 127, for the speed of it; the scale takes the 127.
const HAS_MIN = true;
const NIBBLES = 0x0f0f0f0fu;
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let a = main[mainBase + group];
  let low = a & vec4u(NIBBLES); let high = (a >> vec4u(4u)) & vec4u(NIBBLES);
  let d = sideHalf(sideBase, group);
  return Group(array<vec4f, 8>(unpack4x8snorm(low.x), unpack4x8snorm(low.y), unpack4x8snorm(low.z), unpack4x8snorm(low.w),
    unpack4x8snorm(high.x), unpack4x8snorm(high.y), unpack4x8snorm(high.z), unpack4x8snorm(high.w)),
    127.0 * d, -8.0 * d);
}
