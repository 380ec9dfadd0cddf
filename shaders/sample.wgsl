// Draws an id: top-k, then top-p and min-p on the probabilities at temperature 1, then the temperature, then u picks.
// One workgroup. The k-th greatest key is found a byte at a time by histograms, the k are sorted, the rest is a short
// walk. Integer counts and a sort by (key, id) make it the same on every adapter, but for the rounding of exp.
#import "parts/order.wgsl"

const LANES = 256u;
const MOST = 1024u;   // candidates at the most: beyond them the mass is negligible at usable temperatures
struct Params { nVocab: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;              // [nVocab]
@group(0) @binding(2) var<storage, read> sampling: array<f32>;            // temperature, topK, topP, minP, u
@group(0) @binding(3) var<storage, read_write> sampled: array<u32>;       // [1] what the host reads back
@group(0) @binding(4) var<storage, read_write> tokens: array<u32>;        // [T] the next step's input

var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> keys: array<u32, MOST>;
var<workgroup> ids: array<u32, MOST>;
var<workgroup> nGreater: array<u32, LANES>;
var<workgroup> nEqual: array<u32, LANES>;
var<workgroup> threshold: u32;    // the bytes of the k-th greatest key known so far
var<workgroup> remaining: u32;    // how many of those that share them are wanted

@compute @workgroup_size(LANES)
fn sample(@builtin(local_invocation_index) lane: u32) {
  let topK = u32(sampling[1]);
  let nKept = min(min(select(topK, MOST, topK == 0u), MOST), params.nVocab);
  if (lane == 0u) { threshold = 0u; remaining = nKept; }
  for (var byte = 0u; byte < 4u; byte++) { narrow(lane, 24u - 8u * byte); }
  workgroupBarrier();
  collect(lane, nKept);
  sortKept(lane, nKept);
  if (lane == 0u) {
    sampled[0] = pick(nKept);
    tokens[0] = sampled[0];
  }
}

// Finds one more byte of the k-th greatest key, from bit `shift` on.
fn narrow(lane: u32, shift: u32) {
  workgroupBarrier();
  atomicStore(&histogram[lane], 0u);
  workgroupBarrier();
  for (var id = lane; id < params.nVocab; id += LANES) {
    let key = keyOf(logits[id]);
    // Shifting by 32 is undefined, so the known bytes are compared in two steps.
    if (((key >> shift) >> 8u) == threshold) { atomicAdd(&histogram[(key >> shift) & 255u], 1u); }
  }
  workgroupBarrier();
  if (lane == 0u) {
    var byte = 255u;
    loop {
      let n = atomicLoad(&histogram[byte]);
      if (n >= remaining || byte == 0u) { break; }
      remaining -= n;
      byte--;
    }
    threshold = (threshold << 8u) | byte;
  }
  workgroupBarrier();
}

// The keys above the threshold and, of those equal to it, the lowest ids.
fn collect(lane: u32, nKept: u32) {
  let share = (params.nVocab + LANES - 1u) / LANES;
  let first = min(lane * share, params.nVocab); let end = min(first + share, params.nVocab);
  var greater = 0u; var equal = 0u;
  for (var id = first; id < end; id++) {
    let key = keyOf(logits[id]);
    greater += select(0u, 1u, key > threshold); equal += select(0u, 1u, key == threshold);
  }
  nGreater[lane] = greater; nEqual[lane] = equal;
  for (var i = lane; i < MOST; i += LANES) { keys[i] = 0u; ids[i] = 0xffffffffu; }
  workgroupBarrier();
  greater = 0u; equal = nKept - remaining;
  for (var before = 0u; before < lane; before++) { greater += nGreater[before]; equal += nEqual[before]; }
  for (var id = first; id < end; id++) {
    let key = keyOf(logits[id]);
    if (key > threshold) { keys[greater] = key; ids[greater] = id; greater++; }
    if (key == threshold) {
      if (equal < nKept) { keys[equal] = key; ids[equal] = id; }
      equal++;
    }
  }
  workgroupBarrier();
}

// Bitonic: by falling key, then rising id.
fn sortKept(lane: u32, nKept: u32) {
  var size = 1u;
  while (size < nKept) { size *= 2u; }
  for (var run = 2u; run <= size; run *= 2u) {
    for (var apart = run / 2u; apart > 0u; apart /= 2u) {
      for (var i = lane; i < size; i += LANES) {
        let other = i ^ apart;
        if (other > i) {
          let behind = keys[i] < keys[other] || (keys[i] == keys[other] && ids[i] > ids[other]);
          if (behind == ((i & run) == 0u)) {
            let key = keys[i]; keys[i] = keys[other]; keys[other] = key;
            let id = ids[i]; ids[i] = ids[other]; ids[other] = id;
          }
        }
      }
      workgroupBarrier();
    }
  }
}

fn probability(i: u32, temperature: f32) -> f32 { return exp(max((valueOf(keys[i]) - valueOf(keys[0])) / temperature, -80.0)); }

fn pick(nKept: u32) -> u32 {
  let temperature = max(sampling[0], 1e-4); let topP = sampling[2]; let minP = sampling[3];
  var sum = 0.0;
  for (var i = 0u; i < nKept; i++) { sum += probability(i, 1.0); }
  var n = 0u; var mass = 0.0;
  while (n < nKept && (n == 0u || (mass < topP * sum && probability(n, 1.0) >= minP))) { mass += probability(n, 1.0); n++; }
  var total = 0.0;
  for (var i = 0u; i < n; i++) { total += probability(i, temperature); }
  var left = sampling[4] * total;
  for (var i = 0u; i < n; i++) {
    left -= probability(i, temperature);
    if (left < 0.0) { return ids[i]; }
  }
  return ids[n - 1u];
}
