// A stretch of keys by a workgroup that owns ROWS queries: its lanes own a key each for the scores, eight lanes a row for
// the softmax, and then dimensions of the values, each of several parts of the keys.
const LANES = 64u;
const KEY_GROUPS = (KEY_VECTORS + 7u) / 8u;
const PARTS = LANES / VALUE_VECTORS;
const ROW_LANES = 8u;
var<workgroup> weights: array<f32, ROWS * SPLIT>;
var<workgroup> bases: array<u32, SPLIT / KV_BLOCK>;
var<workgroup> laneValues: array<f32, LANES>;
var<workgroup> laneSums: array<vec4f, ROWS * LANES>;
var<private> greatest: array<f32, ROWS>;
var<private> total: array<f32, ROWS>;
var<private> sums: array<vec4f, ROWS>;

fn isRead(split: Split, key: u32) -> bool { return key < split.sinksEnd || (key >= split.recents && key < split.end); }

fn scoreKey(run: Run, split: Split, key: u32) {
#repeat r ROWS
  var score$r = 0.0;
#end
  if (isRead(split, key)) {
    let part = headPart(run.tableRow, key, run.kvHead);
    let isSink = key < params.nSinks;
#repeat r ROWS
    let query$r = queryAt(run, $ru, isSink);
#end
    for (var group = 0u; group < KEY_GROUPS; group++) {
#repeat r ROWS
      var sum$r = 0.0;
#end
      for (var d = group * 8u; d < min(group * 8u + 8u, KEY_VECTORS); d++) {
        let k = kvVector(keyWord(part, key, d));
#repeat r ROWS
        sum$r += dot(q[query$r + d], k);
#end
      }
      let scale = keyScale(scaleWord(part, key, group * 8u));
#repeat r ROWS
      score$r += sum$r * scale;
#end
    }
  }
#repeat r ROWS
  weights[$ru * SPLIT + key - split.first] =
    select(NOTHING, capped(score$r), isRead(split, key) && sees(run.position + $ru / HEADS, key));
#end
}

fn weighSplit(run: Run, split: Split, lane: u32) {
  // What lanes still read of the stretch before.
  workgroupBarrier();
  if (lane < SPLIT / KV_BLOCK) { bases[lane] = headPart(run.tableRow, split.first + lane * KV_BLOCK, run.kvHead); }
  for (var key = lane; key < SPLIT; key += LANES) { scoreKey(run, split, split.first + key); }
  workgroupBarrier();
  let row = lane / ROW_LANES; let first = lane % ROW_LANES;
  var most = NOTHING;
  if (row < ROWS) {
    for (var i = first; i < SPLIT; i += ROW_LANES) { most = max(most, weights[row * SPLIT + i]); }
  }
  laneValues[lane] = most;
  workgroupBarrier();
  for (var i = 0u; i < ROW_LANES; i++) { most = max(most, laneValues[row * ROW_LANES + i]); }
#repeat r ROWS
  greatest[$r] = NOTHING;
  for (var i = 0u; i < ROW_LANES; i++) { greatest[$r] = max(greatest[$r], laneValues[$ru * ROW_LANES + i]); }
#end
  workgroupBarrier();
  var sum = 0.0;
  if (row < ROWS) {
    for (var i = first; i < SPLIT; i += ROW_LANES) {
      let score = weights[row * SPLIT + i];
      let weight = select(0.0, exp(max(score - most, -80.0)), score > NOTHING);
      weights[row * SPLIT + i] = weight; sum += weight;
    }
  }
  laneValues[lane] = sum;
  workgroupBarrier();
#repeat r ROWS
  total[$r] = 0.0;
  for (var i = 0u; i < ROW_LANES; i++) { total[$r] += laneValues[$ru * ROW_LANES + i]; }
#end
}

// Adds the values of those of the keys [start, end) whose positions are a part's: so the order is of positions alone.
fn sumKeys(split: Split, start: u32, end: u32, part: u32, vector: u32) {
  for (var key = start + (part + PARTS - start % PARTS) % PARTS; key < end; key += PARTS) {
    let at = key - split.first;
    let base = bases[at / KV_BLOCK];
    let value = kvVector(valueWord(base, key, vector)) * valueScale(scaleWord(base, key, vector));
#repeat r ROWS
    sums[$r] += value * weights[$ru * SPLIT + at];
#end
  }
}
// Sums of the stretch's values, a part of its keys at a time: afterwards `sumOf` has them.
fn sumSplit(split: Split, lane: u32) {
  let part = lane / VALUE_VECTORS; let vector = lane % VALUE_VECTORS;
#repeat r ROWS
  sums[$r] = vec4f(0.0);
#end
  if (part < PARTS) {
    sumKeys(split, split.first, split.sinksEnd, part, vector);
    sumKeys(split, split.recents, split.end, part, vector);
  }
#repeat r ROWS
  laneSums[$ru * LANES + lane] = sums[$r];
#end
  workgroupBarrier();
}
// Lanes of part p give out the rows r = p, p + PARTS, …
fn givesOut(row: u32, lane: u32) -> bool { return lane < PARTS * VALUE_VECTORS && lane / VALUE_VECTORS == row % PARTS; }
fn sumOf(row: u32, vector: u32) -> vec4f {
  var sum = laneSums[row * LANES + vector];
  for (var part = 1u; part < PARTS; part++) { sum += laneSums[row * LANES + part * VALUE_VECTORS + vector]; }
  return sum;
}
