// The stretches of attentionThread each by an invocation of its own, for a few tokens that see many keys; attentionMerge
// puts them together. One invocation per (token, HEADS query heads of one kv head, stretch).
#import "parts/attentionHead.wgsl"
#import "parts/attentionRowsThread.wgsl"
@group(0) @binding(7) var<storage, read_write> partials: array<vec4f>;   // [T, nHeads, nSplits, valueDim | greatest, total]

@compute @workgroup_size(4)
fn attentionSplitThread(@builtin(global_invocation_id) id: vec3u) {
  let nGroups = params.nHeads / HEADS;
  let head = id.x % nGroups * HEADS; let i = id.x / nGroups; let token = id.y;
  if (faulted(params.stage) || i >= params.nSplits) { return; }
  let run = runAt(token, token + 1u, head);
  if (i >= splitCount(run.position, run.position)) { return; }
  let split = splitAt(run, splitOf(run.position, i));
  weighSplit(run, split);
  let at = ((token * params.nHeads + head) * params.nSplits + i) * (VALUE_VECTORS + 1u);
  let stride = params.nSplits * (VALUE_VECTORS + 1u);
  for (var vector = 0u; vector < VALUE_VECTORS; vector += VECTORS) {
    sumSplit(run, split, vector);
#repeat r ROWS
#repeat v VECTORS
    partials[at + $ru * stride + vector + $vu] = sums[$ru * VECTORS + $vu];
#end
#end
  }
#repeat r ROWS
  partials[at + $ru * stride + VALUE_VECTORS] = vec4f(greatest[$r], total[$r], 0.0, 0.0);
#end
}
