// F16 in the cache: a word is four halves.
@group(0) @binding(2) var<storage, read> kv: array<vec2u>;
const SCALE_WORDS = 0u;
fn kvVector(word: u32) -> vec4f { let w = kv[word]; return vec4f(unpack2x16float(w.x), unpack2x16float(w.y)); }
fn keyScale(word: u32) -> f32 { return 1.0; }
fn valueScale(word: u32) -> f32 { return 1.0; }
