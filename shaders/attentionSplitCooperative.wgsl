// The stretches of attentionCooperative each by a workgroup of its own, for a few tokens that see many keys;
// attentionMerge puts them together. One workgroup per (HEADS query heads of one kv head, token, stretch).
#import "parts/attentionHead.wgsl"
#import "parts/attentionRowsCooperative.wgsl"
@group(0) @binding(7) var<storage, read_write> partials: array<vec4f>;   // [T, nHeads, nSplits, valueDim | greatest, total]

@compute @workgroup_size(LANES)
fn attentionSplitCooperative(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = workgroup.x * HEADS; let token = workgroup.y; let i = workgroup.z;
  if (faulted(params.stage)) { return; }
  let run = runAt(token, token + 1u, head);
  if (i >= splitCount(run.position, run.position)) { return; }
  let split = splitAt(run, splitOf(run.position, i));
  weighSplit(run, split, lane);
  sumSplit(split, lane);
  let at = ((token * params.nHeads + head) * params.nSplits + i) * (VALUE_VECTORS + 1u);
  let stride = params.nSplits * (VALUE_VECTORS + 1u);
#repeat r ROWS
  if (givesOut($ru, lane)) { partials[at + $ru * stride + lane % VALUE_VECTORS] = sumOf($ru, lane % VALUE_VECTORS); }
  if (lane == 0u) { partials[at + $ru * stride + VALUE_VECTORS] = vec4f(greatest[$r], total[$r], 0.0, 0.0); }
#end
}
