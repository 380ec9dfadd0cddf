// A word's bytes as numbers. Each step is exact: a byte where it stands in the word has eight bits that count, and its place
// is a power of two. (unpack4x8snorm would round q / 127, and WGSL leaves open how.) No shifts: on software adapters those of
// a vector are slow.
const PLACES = vec4f(1.0, 0x1p-8, 0x1p-16, 0x1p-24);
// Of bytes up to 127.
fn bytesOf(word: u32) -> vec4f {
  return vec4f(vec4i(i32(word)) & vec4i(0x7f, 0x7f00, 0x7f0000, 0x7f000000)) * PLACES;
}
// Of signed ones. The last has its sign where a word has it; the others are made 128 more, which is taken off behind.
const SIGNED = vec4i(0xff, 0xff00, 0xff0000, -0x1000000);
const MORE = vec4f(128.0, 128.0, 128.0, 0.0);
fn signedBytesOf(word: u32) -> vec4f { return vec4f(vec4i(i32(word ^ 0x00808080u)) & SIGNED) * PLACES - MORE; }
// An eighth of each.
fn signedEighthsOf(word: u32) -> vec4f {
  return vec4f(vec4i(i32(word ^ 0x00808080u)) & SIGNED) * (PLACES / 8.0) - MORE / 8.0;
}
