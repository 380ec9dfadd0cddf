// IQ4_XS: nibbles as in IQ4_NL; beside each 256 two words: f16 d and the upper bits of the scales, then their lower ones.
// w = d·(s - 32)·table[q].
#import "parts/iq4Table.wgsl"
const HAS_MIN = false;
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let a = main[mainBase + group];
  let low = a & vec4u(0x0f0f0f0fu); let high = (a >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
  let at = sideBase + (group >> 3u) * 2u; let i = group & 7u;
  let word = side[at];
  let s = ((side[at + 1u] >> (4u * i)) & 15u) | (((word >> (16u + 2u * i)) & 3u) << 4u);
  return Group(array<vec4f, 8>(named(low.x), named(low.y), named(low.z), named(low.w),
    named(high.x), named(high.y), named(high.z), named(high.w)),
    unpack2x16float(word).x * (f32(s) - 32.0), 0.0);
}
