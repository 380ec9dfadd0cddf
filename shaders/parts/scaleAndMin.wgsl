// A group's 6-bit scale and minimum, of twelve bytes in three words.
fn scaleAndMin(at: u32, i: u32) -> vec2f {
  let shift = 8u * (i & 3u);
  let a = side[at] >> shift; let b = side[at + 1u] >> shift; let c = side[at + 2u] >> shift;
  let first = vec2u(a & 63u, b & 63u);
  let later = vec2u((c & 15u) | ((a >> 2u) & 48u), ((c >> 4u) & 15u) | ((b >> 2u) & 48u));
  return vec2f(select(later, first, i < 4u));
}
