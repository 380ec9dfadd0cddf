// F32: eight vectors, as they are.
const HAS_MIN = false;
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let i = mainBase + group * 8u;
  return Group(array<vec4f, 8>(bitcast<vec4f>(main[i]), bitcast<vec4f>(main[i + 1u]), bitcast<vec4f>(main[i + 2u]),
    bitcast<vec4f>(main[i + 3u]), bitcast<vec4f>(main[i + 4u]), bitcast<vec4f>(main[i + 5u]),
    bitcast<vec4f>(main[i + 6u]), bitcast<vec4f>(main[i + 7u])), 1.0, 0.0);
}
