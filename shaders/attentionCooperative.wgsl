// y = softmax(q · Kᵀ · scale) · V over the keys of a sliding window and its sinks (Xiao et al. 2024), never a T × T
// matrix: stretches of keys, each with a softmax of its own, are merged one after another (Dao et al. 2022).
// One workgroup per ROWS queries that share their loads.
#import "parts/attentionHead.wgsl"
#import "parts/softmaxMerge.wgsl"
#import "parts/attentionRowsCooperative.wgsl"
#import <sinkLogits>
@group(0) @binding(7) var<storage, read_write> y: array<vec4f>;      // [T, nHeads, valueDim]

// Where in y a row begins.
fn outputAt(run: Run, row: u32) -> u32 {
  return (run.token + row / HEADS) * params.yStride / 4u + (run.head + row % HEADS) * VALUE_VECTORS;
}
fn attendRun(run: Run, lane: u32) {
  let vector = lane % VALUE_VECTORS;
#repeat r ROWS
  var most$r = NOTHING; var all$r = 0.0;
#end
  let n = splitCount(run.position, run.position + run.count - 1u);
  for (var i = 0u; i < n; i++) {
    let split = splitAt(run, splitOf(run.position, i));
    weighSplit(run, split, lane);
    sumSplit(split, lane);
#repeat r ROWS
    let next$r = max(most$r, greatest[$r]);
    let before$r = fadeOf(most$r, next$r); let here$r = fadeOf(greatest[$r], next$r);
    most$r = next$r; all$r = all$r * before$r + total[$r] * here$r;
    if (givesOut($ru, lane) && $ru / HEADS < run.count) {
      let at$r = outputAt(run, $ru) + vector;
      let so$r = select(y[at$r], vec4f(0.0), i == 0u);
      let sum$r = so$r * before$r + sumOf($ru, vector) * here$r;
      if (i + 1u < n) { y[at$r] = sum$r; } else { y[at$r] = sum$r * finish(most$r, all$r, run.head + $ru % HEADS); }
    }
#end
  }
}

@compute @workgroup_size(LANES)
fn attentionCooperative(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (faulted(params.stage)) { return; }
  let end = min((workgroup.y + 1u) * TOKENS, params.nTokens);
  for (var token = workgroup.y * TOKENS; token < end;) {
    let run = runAt(token, end, workgroup.x * HEADS);
    attendRun(run, lane);
    token += run.count;
  }
}
