// y = softmax(q · Kᵀ · scale) · V, causal, in tiles of 64 keys with a running maximum (Dao et al. 2022).
// One workgroup per (token, head): its invocations first own a key each, then dimensions of the sum.
#import "parts/attentionHead.wgsl"

const TILE = 64u;

var<workgroup> weights: array<f32, TILE>;

@compute @workgroup_size(TILE)
fn attentionCooperative(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (faulted(params.stage)) { return; }
  let head = workgroup.x; let token = workgroup.y;
  let at = token * params.qStride / 4u + head * HEAD_VECTORS;
  let cache = head / (params.nHeads / params.nKvHeads) * params.nCacheSlots * HEAD_VECTORS;
  let n = nKeys[token];
  var greatest = -1e30; var total = 0.0; var o = vec4f(0.0);   // o: dimensions 4·lane … 4·lane + 3
  for (var base = 0u; base < n; base += TILE) {
    var score = -1e30;
    if (base + lane < n) {
      let row = cache + (base + lane) * HEAD_VECTORS;
      score = 0.0;
      for (var d = 0u; d < HEAD_VECTORS; d++) { score += dot(q[at + d], kCache[row + d]); }
      score *= params.scale;
    }
    workgroupBarrier();
    weights[lane] = score;
    workgroupBarrier();
    let nTile = min(TILE, n - base);
    var next = greatest;
    for (var i = 0u; i < nTile; i++) { next = max(next, weights[i]); }
    let fade = exp(max(greatest - next, -80.0));
    greatest = next; total *= fade; o *= fade;
    for (var i = 0u; i < nTile; i++) {
      let p = exp(max(weights[i] - next, -80.0));
      total += p;
      if (lane < HEAD_VECTORS) { o += vCache[cache + (base + i) * HEAD_VECTORS + lane] * p; }
    }
  }
  if (lane < HEAD_VECTORS) { y[at + lane] = select(o / total, vec4f(0.0), n == 0u); }
}
