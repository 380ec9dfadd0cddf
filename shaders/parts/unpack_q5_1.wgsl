// Q5_1: nibbles as in Q4_0; beside them two words a group: f16 d and m, and the fifth bits. w = d·q + m.
const HAS_MIN = true;
// Four bits to the fifth bit of four bytes.
fn fifths(bits: u32) -> u32 { return (((bits & 15u) * 0x00204081u) & 0x01010101u) << 4u; }
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let dm = unpack2x16float(side[sideBase + group * 2u]);
  let h = side[sideBase + group * 2u + 1u];
  let lowBits = vec4u(fifths(h), fifths(h >> 4u), fifths(h >> 8u), fifths(h >> 12u));
  let highBits = vec4u(fifths(h >> 16u), fifths(h >> 20u), fifths(h >> 24u), fifths(h >> 28u));
  let a = main[mainBase + group];
  let low = (a & vec4u(0x0f0f0f0fu)) | lowBits; let high = ((a >> vec4u(4u)) & vec4u(0x0f0f0f0fu)) | highBits;
  return Group(array<vec4f, 8>(unpack4x8snorm(low.x), unpack4x8snorm(low.y), unpack4x8snorm(low.z), unpack4x8snorm(low.w),
    unpack4x8snorm(high.x), unpack4x8snorm(high.y), unpack4x8snorm(high.z), unpack4x8snorm(high.w)),
    127.0 * dm.x, dm.y);
}
