// Puts the stretches of a row together, in their order: what attentionThread and attentionCooperative do within one
// invocation, for those that attentionSplit… spread over many. One invocation per (token, head, four dimensions).
#import "parts/attentionHead.wgsl"
#import "parts/softmaxMerge.wgsl"
#import <sinkLogits>
@group(0) @binding(6) var<storage, read> partials: array<vec4f>;     // [T, nHeads, nSplits, valueDim | greatest, total]
@group(0) @binding(7) var<storage, read_write> y: array<vec4f>;      // [T, nHeads, valueDim]

@compute @workgroup_size(32)
fn attentionMerge(@builtin(global_invocation_id) id: vec3u) {
  let head = id.x / VALUE_VECTORS; let vector = id.x % VALUE_VECTORS; let token = id.y;
  if (faulted(params.stage) || head >= params.nHeads) { return; }
  let position = places[token].x;
  let stride = VALUE_VECTORS + 1u;
  let at = (token * params.nHeads + head) * params.nSplits * stride;
  var most = NOTHING; var all = 0.0; var sum = vec4f(0.0);
  for (var i = 0u; i < splitCount(position, position); i++) {
    let part = partials[at + i * stride + VALUE_VECTORS];
    let next = max(most, part.x);
    let before = fadeOf(most, next); let here = fadeOf(part.x, next);
    most = next; all = all * before + part.y * here;
    sum = sum * before + partials[at + i * stride + vector] * here;
  }
  y[token * params.yStride / 4u + head * VALUE_VECTORS + vector] = sum * finish(most, all, head);
}
