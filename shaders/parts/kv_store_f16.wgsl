// F16 in the cache: a word is four halves. What is beyond them becomes their greatest: packing it is undefined.
@group(0) @binding(2) var<storage, read_write> kv: array<vec2u>;
const SCALE_WORDS = 0u;
fn storeScales(word: u32, greatest: vec2f) -> vec2f { return vec2f(1.0); }
fn storeVector(word: u32, value: vec4f, inverse: f32) {
  let v = clamp(value, vec4f(-65504.0), vec4f(65504.0));
  kv[word] = vec2u(pack2x16float(v.xy), pack2x16float(v.zw));
}
