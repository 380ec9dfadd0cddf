// f32 as u32 with the same order; -0 equals 0, and NaN, known by its bits since a comparison may be folded away, is last.
fn keyOf(value: f32) -> u32 {
  let bits = bitcast<u32>(select(value, 0.0, value == 0.0));
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0u; }
  return select(~bits, bits | 0x80000000u, (bits >> 31u) == 0u);
}
fn valueOf(key: u32) -> f32 { return bitcast<f32>(select(~key, key & 0x7fffffffu, (key >> 31u) == 1u)); }
