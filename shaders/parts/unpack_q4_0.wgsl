// Q4_0: byte j holds weight j low and weight j + 16 high, one f16 scale; w = d·(q - 8).
#import "parts/bytes.wgsl"
const HAS_MIN = true;
const NIBBLES = 0x0f0f0f0fu;
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let a = main[mainBase + group];
  let low = a & vec4u(NIBBLES); let high = (a >> vec4u(4u)) & vec4u(NIBBLES);
  let d = sideHalf(sideBase, group);
  return Group(array<vec4f, 8>(bytesOf(low.x), bytesOf(low.y), bytesOf(low.z), bytesOf(low.w),
    bytesOf(high.x), bytesOf(high.y), bytesOf(high.z), bytesOf(high.w)), d, -8.0 * d);
}
