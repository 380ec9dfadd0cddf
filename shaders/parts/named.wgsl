// What each byte's nibble names in TABLE, which the format has.
fn named(nibbles: u32) -> vec4f {
  return vec4f(TABLE[nibbles & 15u], TABLE[(nibbles >> 8u) & 15u], TABLE[(nibbles >> 16u) & 15u], TABLE[nibbles >> 24u]);
}
