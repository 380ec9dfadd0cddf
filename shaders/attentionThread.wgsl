// y = softmax(q · Kᵀ · scale) · V, causal, one pass with a running maximum (Milakov & Gimelshein 2018).
// One invocation per (token, head): no barrier, for software adapters.
#import "parts/fault.wgsl"

const HEAD_VECTORS = 8u; // tunable
struct Params { nTokens: u32, nHeads: u32, nKvHeads: u32, nCacheSlots: u32, qStride: u32, scale: f32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;            // [T, nHeads, headDim]
@group(0) @binding(2) var<storage, read> kCache: array<vec4f>;       // [nKvHeads, nCacheSlots, headDim]
@group(0) @binding(3) var<storage, read> vCache: array<vec4f>;
@group(0) @binding(4) var<storage, read> nKeys: array<u32>;          // [T] keys each token sees
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;      // [T, nHeads, headDim]

@compute @workgroup_size(4)
fn attentionThread(@builtin(global_invocation_id) id: vec3u) {
  let head = id.x; let token = id.y;
  if (faulted(params.stage) || head >= params.nHeads) { return; }
  let at = token * params.qStride / 4u + head * HEAD_VECTORS;
  let cache = head / (params.nHeads / params.nKvHeads) * params.nCacheSlots * HEAD_VECTORS;
#repeat d HEAD_VECTORS
  let q$d = q[at + $du] * params.scale; var o$d = vec4f(0.0);
#end
  var greatest = -1e30; var total = 0.0;
  let n = nKeys[token];
  for (var key = 0u; key < n; key++) {
    let row = cache + key * HEAD_VECTORS;
    var score = 0.0;
#repeat d HEAD_VECTORS
    score += dot(q$d, kCache[row + $du]);
#end
    let next = max(greatest, score);
    let fade = exp(max(greatest - next, -80.0)); let p = exp(max(score - next, -80.0));
    greatest = next; total = total * fade + p;
#repeat d HEAD_VECTORS
    o$d = o$d * fade + vCache[row + $du] * p;
#end
  }
  let norm = select(1.0 / total, 0.0, n == 0u);
#repeat d HEAD_VECTORS
  y[at + $du] = o$d * norm;
#end
}
