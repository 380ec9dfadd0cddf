// F32 in the cache: a word is four floats.
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
const SCALE_WORDS = 0u;
fn kvVector(word: u32) -> vec4f { return kv[word]; }
fn keyScale(word: u32) -> f32 { return 1.0; }
fn valueScale(word: u32) -> f32 { return 1.0; }
