// F16: four vectors of eight halves.
const HAS_MIN = false;
fn halves(word0: u32, word1: u32) -> vec4f { return vec4f(unpack2x16float(word0), unpack2x16float(word1)); }
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let i = mainBase + group * 4u;
  let a = main[i]; let b = main[i + 1u]; let c = main[i + 2u]; let e = main[i + 3u];
  return Group(array<vec4f, 8>(halves(a.x, a.y), halves(a.z, a.w), halves(b.x, b.y), halves(b.z, b.w),
    halves(c.x, c.y), halves(c.z, c.w), halves(e.x, e.y), halves(e.z, e.w)), 1.0, 0.0);
}
