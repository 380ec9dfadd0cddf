// y = softmax(q · Kᵀ · scale) · V over the keys of a sliding window and its sinks (Xiao et al. 2024), never a T × T
// matrix: stretches of keys, each with a softmax of its own, are merged one after another (Dao et al. 2022).
// One invocation per ROWS queries that share their loads: no barrier, for software adapters.
#import "parts/attentionHead.wgsl"
#import "parts/softmaxMerge.wgsl"
#import "parts/attentionRowsThread.wgsl"
#import <sinkLogits>
@group(0) @binding(7) var<storage, read_write> y: array<vec4f>;      // [T, nHeads, valueDim]

// Where in y a row begins.
fn outputAt(run: Run, row: u32) -> u32 {
  return (run.token + row / HEADS) * params.yStride / 4u + (run.head + row % HEADS) * VALUE_VECTORS;
}
fn attendRun(run: Run) {
#repeat r ROWS
  var most$r = NOTHING; var all$r = 0.0;
#end
  let n = splitCount(run.position, run.position + run.count - 1u);
  for (var i = 0u; i < n; i++) {
    let split = splitAt(run, splitOf(run.position, i));
    weighSplit(run, split);
#repeat r ROWS
    let next$r = max(most$r, greatest[$r]);
    let before$r = fadeOf(most$r, next$r); let here$r = fadeOf(greatest[$r], next$r);
    most$r = next$r; all$r = all$r * before$r + total[$r] * here$r;
#end
    for (var vector = 0u; vector < VALUE_VECTORS; vector += VECTORS) {
      sumSplit(run, split, vector);
#repeat r ROWS
      if ($ru / HEADS < run.count) {
        let at$r = outputAt(run, $ru) + vector;
#repeat v VECTORS
        let so$r_$v = select(y[at$r + $vu], vec4f(0.0), i == 0u);
        y[at$r + $vu] = so$r_$v * before$r + sums[$ru * VECTORS + $vu] * here$r;
#end
      }
#end
    }
  }
#repeat r ROWS
  if ($ru / HEADS < run.count) {
    let factor$r = finish(most$r, all$r, run.head + $ru % HEADS);
    let at$r = outputAt(run, $ru);
    for (var vector = 0u; vector < VALUE_VECTORS; vector++) { y[at$r + vector] *= factor$r; }
  }
#end
}

@compute @workgroup_size(4)
fn attentionThread(@builtin(global_invocation_id) id: vec3u) {
  let nGroups = params.nHeads / HEADS;
  let head = id.x % nGroups * HEADS; let first = id.x / nGroups * TOKENS;
  if (faulted(params.stage) || first >= params.nTokens) { return; }
  let end = min(first + TOKENS, params.nTokens);
  for (var token = first; token < end;) {
    let run = runAt(token, end, head);
    attendRun(run);
    token += run.count;
  }
}
