// y = softmax(q · Kᵀ · scale) · V, causal, one pass with a running maximum (Milakov & Gimelshein 2018).
// One invocation per (token, HEADS query heads of one kv head), which share its loads: no barrier, for software adapters.
#import "parts/attentionHead.wgsl"

const HEADS = 1u; // tunable

@compute @workgroup_size(4)
fn attentionThread(@builtin(global_invocation_id) id: vec3u) {
  let head = id.x * HEADS; let token = id.y;
  if (faulted(params.stage) || head >= params.nHeads) { return; }
  let at = token * params.qStride / 4u + head * HEAD_VECTORS;
  let cache = head / (params.nHeads / params.nKvHeads) * params.nCacheSlots * HEAD_VECTORS;
  // Indexed by a loop, not written out: a head of 256 would take a software adapter half a minute to compile.
#repeat h HEADS
  var q$h: array<vec4f, HEAD_VECTORS>; var o$h: array<vec4f, HEAD_VECTORS>;
  var greatest$h = -1e30; var total$h = 0.0;
#end
  for (var d = 0u; d < HEAD_VECTORS; d++) {
#repeat h HEADS
    q$h[d] = q[at + $hu * HEAD_VECTORS + d] * params.scale;
#end
  }
  let n = nKeys[token];
  for (var key = 0u; key < n; key++) {
    let row = cache + key * HEAD_VECTORS;
#repeat h HEADS
    var score$h = 0.0;
#end
    for (var d = 0u; d < HEAD_VECTORS; d++) {
      let k = kCache[row + d];
#repeat h HEADS
      score$h += dot(q$h[d], k);
#end
    }
#repeat h HEADS
    let next$h = max(greatest$h, score$h);
    let fade$h = exp(max(greatest$h - next$h, -80.0)); let p$h = exp(max(score$h - next$h, -80.0));
    greatest$h = next$h; total$h = total$h * fade$h + p$h;
#end
    for (var d = 0u; d < HEAD_VECTORS; d++) {
      let v = vCache[row + d];
#repeat h HEADS
      o$h[d] = o$h[d] * fade$h + v * p$h;
#end
    }
  }
#repeat h HEADS
  let norm$h = select(1.0 / total$h, 0.0, n == 0u);
#end
  for (var d = 0u; d < HEAD_VECTORS; d++) {
#repeat h HEADS
    y[at + $hu * HEAD_VECTORS + d] = o$h[d] * norm$h;
#end
  }
}
