// Q8_0: 32 signed bytes in order, one f16 scale. unpack4x8snorm is the fastest way there (docs/performance.md): it gives
// q / 127, so the scale takes the 127. It reads -128 as -127; no encoder writes that byte.
const HAS_MIN = false;
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let a = main[mainBase + group * 2u]; let b = main[mainBase + group * 2u + 1u];
  return Group(array<vec4f, 8>(unpack4x8snorm(a.x), unpack4x8snorm(a.y), unpack4x8snorm(a.z), unpack4x8snorm(a.w),
    unpack4x8snorm(b.x), unpack4x8snorm(b.y), unpack4x8snorm(b.z), unpack4x8snorm(b.w)),
    127.0 * sideHalf(sideBase, group), 0.0);
}
