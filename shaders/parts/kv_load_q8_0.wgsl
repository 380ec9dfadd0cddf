// Q8_0 in the cache: a word is four signed bytes, q / 127 as unpack4x8snorm gives them; 32 dimensions of a key and the
// same of its value share a word with their two f16 scales.
@group(0) @binding(2) var<storage, read> kv: array<u32>;
const SCALE_WORDS = (max(KEY_VECTORS, VALUE_VECTORS) + 7u) / 8u;
fn kvVector(word: u32) -> vec4f { return unpack4x8snorm(kv[word]); }
fn keyScale(word: u32) -> f32 { return 127.0 * unpack2x16float(kv[word]).x; }
fn valueScale(word: u32) -> f32 { return 127.0 * unpack2x16float(kv[word]).y; }
