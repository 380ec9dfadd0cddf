// F32 in the cache: a word is four floats.
@group(0) @binding(2) var<storage, read_write> kv: array<vec4f>;
const SCALE_WORDS = 0u;
fn storeScales(word: u32, greatest: vec2f) -> vec2f { return vec2f(1.0); }
fn storeVector(word: u32, value: vec4f, inverse: f32) { kv[word] = value; }
