// Q8_0: 32 signed bytes in order, one f16 scale; w = d·q.
#import "parts/bytes.wgsl"
const HAS_MIN = false;
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let a = main[mainBase + group * 2u]; let b = main[mainBase + group * 2u + 1u];
  return Group(array<vec4f, 8>(signedBytesOf(a.x), signedBytesOf(a.y), signedBytesOf(a.z), signedBytesOf(a.w),
    signedBytesOf(b.x), signedBytesOf(b.y), signedBytesOf(b.z), signedBytesOf(b.w)),
    sideHalf(sideBase, group), 0.0);
}
