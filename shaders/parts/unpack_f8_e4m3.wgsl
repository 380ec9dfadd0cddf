// F8_E4M3: a byte a weight, four bits of exponent (bias 7) and three of mantissa, and an f32 scale for each 128; w = d·E4M3.
const HAS_MIN = false;
// The exponent of an f32 is 120 greater. Below 2^-6 there is no leading one, and the byte counts 2^-9.
fn numbers(word: u32) -> vec4f {
  let bytes = vec4u(word & 255u, (word >> 8u) & 255u, (word >> 16u) & 255u, word >> 24u);
  let magnitude = bytes & vec4u(127u);
  let normal = bitcast<vec4f>((magnitude << vec4u(20u)) + vec4u(0x3c000000u));
  let value = select(normal, vec4f(magnitude) * 0.001953125, magnitude < vec4u(8u));
  return select(value, -value, bytes > vec4u(127u));
}
fn unpack(mainBase: u32, sideBase: u32, group: u32) -> Group {
  let a = main[mainBase + group * 2u]; let b = main[mainBase + group * 2u + 1u];
  return Group(array<vec4f, 8>(numbers(a.x), numbers(a.y), numbers(a.z), numbers(a.w),
    numbers(b.x), numbers(b.y), numbers(b.z), numbers(b.w)),
    bitcast<f32>(side[sideBase + (group >> 2u)]), 0.0);
}
