// TQ2_0: 2-bit quants eight apart in a byte, one f16 scale for 256; w = d·(q - 1).
#import "parts/bytes.wgsl"
const HAS_MIN = true;
fn quants(word: u32) -> vec4f { return bytesOf(word & 0x03030303u); }
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let vector = main[mainBase + (group >> 1u)];
  let a = select(vector.xy, vector.zw, (group & 1u) == 1u);
  let d = sideHalf(sideBase, group >> 3u);
  return Group(array<vec4f, 8>(quants(a.x), quants(a.y), quants(a.x >> 2u), quants(a.y >> 2u),
    quants(a.x >> 4u), quants(a.y >> 4u), quants(a.x >> 6u), quants(a.y >> 6u)), d, -d);
}
