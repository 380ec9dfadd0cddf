// Q8_0 in the cache: d = greatest / 127 as f16, q = round(x / d). The scales of a key's 32 dimensions and of its value's
// share a word; bytes are rounded by the scale as it is kept.
@group(0) @binding(2) var<storage, read_write> kv: array<u32>;
const SCALE_WORDS = (max(KEY_VECTORS, VALUE_VECTORS) + 7u) / 8u;
// What x is multiplied with to become q / 127; 0 where all of the group is too small for a scale.
fn storeScales(word: u32, greatest: vec2f) -> vec2f {
  let packed = pack2x16float(min(greatest / 127.0, vec2f(65504.0)));
  kv[word] = packed;
  let d = 127.0 * unpack2x16float(packed);
  return select(1.0 / d, vec2f(0.0), d == vec2f(0.0));
}
fn storeVector(word: u32, value: vec4f, inverse: f32) { kv[word] = pack4x8snorm(value * inverse); }
