// A stretch of keys by one invocation that owns ROWS queries: their scores, softmax over the stretch, sums of values.
const VECTORS = 1u; // tunable   of a value that are summed together
const ROW_SUMS = 1u; // tunable   ROWS · VECTORS
var<private> weights: array<f32, ROWS * SPLIT>;
var<private> greatest: array<f32, ROWS>;
var<private> total: array<f32, ROWS>;
var<private> sums: array<vec4f, ROW_SUMS>;
const KEY_GROUPS = (KEY_VECTORS + 7u) / 8u;

// Where keys of a stretch begin and end: its sinks, then its recent ones. Asked in a loop, for two calls would be compiled twice.
fn stretchOf(split: Split, i: u32) -> vec2u {
  return select(vec2u(split.recents, split.end), vec2u(split.first, split.sinksEnd), i == 0u);
}

// Scores of keys [start, end), four at a time, for each row that sees them.
fn scoreKeys(run: Run, split: Split, start: u32, end: u32) {
  let isSink = start < params.nSinks;
#repeat r ROWS
  let query$r = queryAt(run, $ru, isSink);
#end
  for (var key = start / 4u * 4u; key < end; key += 4u) {
    let part = headPart(run.tableRow, key, run.kvHead);
#repeat r ROWS
    var score$r = vec4f(0.0);
#end
    for (var group = 0u; group < KEY_GROUPS; group++) {
#repeat r ROWS
      var sum$r = vec4f(0.0);
#end
      for (var d = group * 8u; d < min(group * 8u + 8u, KEY_VECTORS); d++) {
        let word = keyWord(part, key, d);
        let k = array<vec4f, 4>(kvVector(word), kvVector(word + 1u), kvVector(word + 2u), kvVector(word + 3u));
#repeat r ROWS
        let q$r = q[query$r + d];
        sum$r += vec4f(dot(q$r, k[0]), dot(q$r, k[1]), dot(q$r, k[2]), dot(q$r, k[3]));
#end
      }
      let word = scaleWord(part, key, group * 8u);
      let scale = vec4f(keyScale(word), keyScale(word + 1u), keyScale(word + 2u), keyScale(word + 3u));
#repeat r ROWS
      score$r += sum$r * scale;
#end
    }
    for (var i = 0u; i < 4u; i++) {
      if (key + i < start || key + i >= end) { continue; }
#repeat r ROWS
      weights[$ru * SPLIT + key + i - split.first] =
        select(NOTHING, capped(score$r[i]), sees(run.position + $ru / HEADS, key + i));
#end
    }
  }
}

// Makes scores of keys [start, end) weights: relative to `greatest`, added to `total`.
fn weighKeys(split: Split, start: u32, end: u32) {
  for (var i = start - split.first; i < end - split.first; i++) {
#repeat r ROWS
    let score$r = weights[$ru * SPLIT + i];
    let weight$r = select(0.0, exp(max(score$r - greatest[$r], -80.0)), score$r > NOTHING);
    weights[$ru * SPLIT + i] = weight$r; total[$r] += weight$r;
#end
  }
}
fn greatestOf(split: Split, start: u32, end: u32) {
  for (var i = start - split.first; i < end - split.first; i++) {
#repeat r ROWS
    greatest[$r] = max(greatest[$r], weights[$ru * SPLIT + i]);
#end
  }
}
fn weighSplit(run: Run, split: Split) {
#repeat r ROWS
  greatest[$r] = NOTHING; total[$r] = 0.0;
#end
  for (var i = 0u; i < 2u; i++) { let keys = stretchOf(split, i); scoreKeys(run, split, keys.x, keys.y); }
  for (var i = 0u; i < 2u; i++) { let keys = stretchOf(split, i); greatestOf(split, keys.x, keys.y); }
  for (var i = 0u; i < 2u; i++) { let keys = stretchOf(split, i); weighKeys(split, keys.x, keys.y); }
}

// Sums of the stretch's values, dimensions from `vector` on: block by block, for each has its place.
fn sumSplit(run: Run, split: Split, vector: u32) {
#repeat r ROWS
#repeat v VECTORS
  var sum$r_$v = vec4f(0.0);
#end
#end
  var key = split.first;
  while (key < split.end) {
    if (key >= split.sinksEnd && key < split.recents) { key = split.recents; continue; }
    let part = headPart(run.tableRow, key, run.kvHead);
    let until = select(split.end, split.sinksEnd, key < split.sinksEnd);
    let stop = min(until, (key / KV_BLOCK + 1u) * KV_BLOCK);
    for (; key < stop; key++) {
      let word = valueWord(part, key, vector); let scale = valueScale(scaleWord(part, key, vector));
#repeat v VECTORS
      let value$v = kvVector(word + $vu) * scale;
#end
#repeat r ROWS
      let weight$r = weights[$ru * SPLIT + key - split.first];
#repeat v VECTORS
      sum$r_$v += value$v * weight$r;
#end
#end
    }
  }
#repeat r ROWS
#repeat v VECTORS
  sums[$ru * VECTORS + $vu] = sum$r_$v;
#end
#end
}
