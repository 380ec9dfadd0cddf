// Q5_0: nibbles as in Q4_0; beside them three halves a group: the fifth bits in two, and d. w = d·(q - 16).
#import "parts/bytes.wgsl"
#import "parts/fifths.wgsl"
const HAS_MIN = true;
fn sideBits(base: u32, index: u32) -> u32 {
  return (side[base + (index >> 1u)] >> ((index & 1u) * 16u)) & 0xffffu;
}
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let h = sideBits(sideBase, group * 3u) | (sideBits(sideBase, group * 3u + 1u) << 16u);
  let a = main[mainBase + group];
  let low = (a & vec4u(0x0f0f0f0fu)) | lowFifths(h); let high = ((a >> vec4u(4u)) & vec4u(0x0f0f0f0fu)) | highFifths(h);
  let d = sideHalf(sideBase, group * 3u + 2u);
  return Group(array<vec4f, 8>(bytesOf(low.x), bytesOf(low.y), bytesOf(low.z), bytesOf(low.w),
    bytesOf(high.x), bytesOf(high.y), bytesOf(high.z), bytesOf(high.w)), d, -16.0 * d);
}
