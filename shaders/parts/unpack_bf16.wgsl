// BF16: the upper halves of f32, eight to a vector.
const HAS_MIN = false;
fn brains(word0: u32, word1: u32) -> vec4f {
  return bitcast<vec4f>(vec4u(word0 << 16u, word0 & 0xffff0000u, word1 << 16u, word1 & 0xffff0000u));
}
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let i = mainBase + group * 4u;
  let a = main[i]; let b = main[i + 1u]; let c = main[i + 2u]; let e = main[i + 3u];
  return Group(array<vec4f, 8>(brains(a.x, a.y), brains(a.z, a.w), brains(b.x, b.y), brains(b.z, b.w),
    brains(c.x, c.y), brains(c.z, c.w), brains(e.x, e.y), brains(e.z, e.w)), 1.0, 0.0);
}
