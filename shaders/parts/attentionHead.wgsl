// What all kernels of attention share: parameters, queries, the cache, and which keys a query sees.
#import "parts/fault.wgsl"
#import "parts/kvPlace.wgsl"

struct Params {
  nTokens: u32, nHeads: u32, nKvHeads: u32,
  qStride: u32,       // of a rotation of a token's query, in f32
  yStride: u32,
  window: u32,        // keys a query sees, the first `nSinks` and itself included
  nSinks: u32,
  fixedBlocks: u32, tableBlocks: u32,
  nSplits: u32,       // of a row of `partials`; 1 where there are none
  scale: f32,
  softCap: f32,       // 0: none
  lastKey: u32,       // of a text whose tokens see ahead, the last position; 0: a query's own is the last it sees
  stage: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;            // [T, 2, nHeads, headDim] at its position; for sinks

// Query heads of one kv head, and tokens of one conversation, that share loads of keys and values: ROWS = both multiplied.
const HEADS = 1u; // tunable
const TOKENS = 1u; // tunable
const ROWS = 1u; // tunable
// Softmax is taken over keys whose positions lie in the same stretch of so many, and stretches are merged in order: so a
// row's bits are of its position and window alone, never of the adapter or of what is computed beside it.
const SPLIT = 128u;
const NOTHING = -1e30;

// Tokens one after another in one conversation, and the query heads they are asked with.
struct Run { token: u32, count: u32, head: u32, kvHead: u32, position: u32, tableRow: u32 }
// The stretch from position `first`: sinks up to `sinksEnd`, then the recent ones from `recents` to `end`.
struct Split { first: u32, sinksEnd: u32, recents: u32, end: u32 }

fn firstRecent(position: u32) -> u32 { return select(position + 1u + params.nSinks - params.window, 0u, position < params.window); }
fn lastSeen(position: u32) -> u32 { return max(position, params.lastKey); }
fn sees(position: u32, key: u32) -> bool {
  return key <= lastSeen(position) && (key < params.nSinks || key >= firstRecent(position));
}
fn splitAt(run: Run, split: u32) -> Split {
  let first = split * SPLIT; let end = min(first + SPLIT, lastSeen(run.position + run.count - 1u) + 1u);
  let recents = max(first, max(params.nSinks, firstRecent(run.position)));
  return Split(first, min(end, max(first, params.nSinks)), min(recents, end), end);
}
fn nSinkSplits() -> u32 { return (params.nSinks + SPLIT - 1u) / SPLIT; }
// The i-th stretch of those with keys that a query at `position` sees, and how many there are up to `last`.
fn splitOf(position: u32, i: u32) -> u32 {
  let behind = max(nSinkSplits(), firstRecent(position) / SPLIT);
  return select(behind + i - nSinkSplits(), i, i < nSinkSplits());
}
fn splitCount(position: u32, last: u32) -> u32 {
  let behind = max(nSinkSplits(), firstRecent(position) / SPLIT);
  let all = lastSeen(last) / SPLIT + 1u;
  return min(all, nSinkSplits() + all - min(all, behind));
}
// The run that begins with `token`, of at most `end` - `token` tokens.
fn runAt(token: u32, end: u32, head: u32) -> Run {
  let place = places[token];
  var count = 1u;
  while (token + count < end) {
    if (any(places[token + count] != place + vec2u(count, 0u))) { break; }
    count++;
  }
  return Run(token, count, head, head / (params.nHeads / params.nKvHeads), place.x, place.y);
}
// Where in q a row begins; in its rotation for sinks, or the other.
fn queryAt(run: Run, row: u32, isSink: bool) -> u32 {
  let token = run.token + min(row / HEADS, run.count - 1u);
  return (2u * token + select(0u, 1u, isSink)) * params.qStride / 4u + (run.head + row % HEADS) * KEY_VECTORS;
}
fn capped(score: f32) -> f32 {
  let s = score * params.scale;
  if (params.softCap == 0.0) { return s; }
  return params.softCap * tanh(clamp(s / params.softCap, -20.0, 20.0));
}
