// Rotates q twice (at its position, and where the window's sinks see it) and k once, and appends k and v to the cache.
// One invocation per (token, head, group of 32 dimensions): a kv head's has its k and its v, whose scales share a word.
// Su et al. 2021; the angles come from the host in double precision: WGSL's sin and cos are good to 2⁻¹¹ only.
#import "parts/fault.wgsl"
#import "parts/kvPlace.wgsl"

struct Params { nTokens: u32, nHeads: u32, nKvHeads: u32, ropeFirst: u32, ropeDim: u32, qkvStride: u32, qStride: u32,
  fixedBlocks: u32, tableBlocks: u32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;              // [T, q | k | v]
@group(0) @binding(5) var<storage, read> angles: array<vec2f>;         // [T, 2, ropeDim / 2] cos, sin; of its place among sinks
@group(0) @binding(6) var<storage, read_write> q: array<vec4f>;        // [T, 2, nHeads, headDim]

// The pair a dimension belongs to, the other one of it, and the sign of the sine.
struct Turn { pair: u32, partner: u32, sign: f32 }
#import <pairs>
const KEY_DIM = KEY_VECTORS * 4u;
const GROUPS = (max(KEY_VECTORS, VALUE_VECTORS) + 7u) / 8u;

fn turned(head: u32, dim: u32, angleRow: u32) -> f32 {
  let value = qkv[head + dim];
  let i = dim - params.ropeFirst;   // below ropeFirst: beyond any ropeDim
  if (i >= params.ropeDim) { return value; }
  let turn = turnOf(i, params.ropeDim);
  let angle = angles[angleRow + turn.pair];
  return value * angle.x + turn.sign * qkv[head + params.ropeFirst + turn.partner] * angle.y;
}
fn turnedVector(head: u32, vector: u32, angleRow: u32) -> vec4f {
  let dim = 4u * vector;
  return vec4f(turned(head, dim, angleRow), turned(head, dim + 1u, angleRow),
    turned(head, dim + 2u, angleRow), turned(head, dim + 3u, angleRow));
}
fn most(v: vec4f) -> f32 { let a = abs(v); return max(max(a.x, a.y), max(a.z, a.w)); }

@compute @workgroup_size(16)
fn ropeAppend(@builtin(global_invocation_id) id: vec3u) {
  let head = id.x / GROUPS; let first = id.x % GROUPS * 8u; let token = id.y;
  if (faulted(params.stage) || head >= params.nHeads + params.nKvHeads) { return; }
  let row = token * params.qkvStride;
  let angleRow = token * params.ropeDim;
  let source = row + head * KEY_DIM;
  if (head < params.nHeads) {
    let to = token * 2u * params.qStride / 4u + head * KEY_VECTORS;
    for (var vector = first; vector < min(first + 8u, KEY_VECTORS); vector++) {
      q[to + vector] = turnedVector(source, vector, angleRow);
      q[to + params.qStride / 4u + vector] = turnedVector(source, vector, angleRow + params.ropeDim / 2u);
    }
    return;
  }
  let kvHead = head - params.nHeads;
  let values = row + (params.nHeads + params.nKvHeads) * KEY_DIM + kvHead * VALUE_VECTORS * 4u;
  var k: array<vec4f, 8>; var v: array<vec4f, 8>;
  var greatest = vec2f(0.0);
  for (var i = 0u; i < 8u; i++) {
    if (first + i < KEY_VECTORS) { k[i] = turnedVector(source, first + i, angleRow); }
    if (first + i < VALUE_VECTORS) {
      let at = values + 4u * (first + i);
      v[i] = vec4f(qkv[at], qkv[at + 1u], qkv[at + 2u], qkv[at + 3u]);
    }
    greatest = max(greatest, vec2f(most(k[i]), most(v[i])));
  }
  let place = places[token];
  let part = headPart(place.y, place.x, kvHead);
  let inverse = storeScales(scaleWord(part, place.x, first), greatest);
  for (var i = 0u; i < 8u; i++) {
    if (first + i < KEY_VECTORS) { storeVector(keyWord(part, place.x, first + i), k[i], inverse.x); }
    if (first + i < VALUE_VECTORS) { storeVector(valueWord(part, place.x, first + i), v[i], inverse.y); }
  }
}
