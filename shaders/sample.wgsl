// Draws an id: top-k, then top-p and min-p on the probabilities at temperature 1, then the temperature, then u picks.
// One workgroup. The k-th greatest key is found a byte at a time by histograms, the k are sorted, and sums over the
// sorted list cut it and pick. Integer counts and a sort by (key, id) make it the same on every adapter, but for the
// rounding of exp. A logit of -inf or NaN has no mass; where none has any, the first of the sorted list is picked.
#import "parts/order.wgsl"

const LANES = 256u; // tunable
const MOST = 1024u;   // candidates at the most: beyond them the mass is negligible at usable temperatures
const SHARE = MOST / LANES;
const LOADS = 4u;     // under way at once: nothing but this workgroup hides their latency
const ID_BITS = 24u;  // a vocabulary is smaller
const KEY_OF_INFINITY = 0xff800000u;
const KEY_OF_MINUS_INFINITY = 0x007fffffu;
struct Params { nVocab: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;              // [nVocab]
@group(0) @binding(2) var<storage, read> sampling: array<f32>;            // temperature, topK, topP, minP, u
@group(0) @binding(3) var<storage, read_write> sampled: array<u32>;       // [1] what the host reads back
@group(0) @binding(4) var<storage, read_write> tokens: array<u32>;        // [T] the next step's input

// 14.1 KiB of the 16 that every device has. Workgroup memory begins as zeros.
var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> keys: array<u32, MOST>;
var<workgroup> ids: array<u32, MOST>;
var<workgroup> sums: array<f32, MOST>;      // of the weights up to and with a place
var<workgroup> laneSums: array<f32, LANES>;
var<workgroup> floorOfKeys: atomic<u32>;    // the complement of a key that the k-th greatest is not below
var<workgroup> chosenByte: u32;
var<workgroup> remaining: u32;              // how many of those that share the known bytes are wanted
var<workgroup> nSharing: u32;               // and how many there are
var<workgroup> nCollected: atomic<u32>;
var<workgroup> nSurvivors: atomic<u32>;
var<workgroup> nPassed: atomic<u32>;

@compute @workgroup_size(LANES)
fn sample(@builtin(local_invocation_index) lane: u32) {
  let topK = u32(sampling[1]);
  let nKept = min(min(select(topK, MOST, topK == 0u), MOST), params.nVocab);
  if (lane == 0u) { remaining = nKept; }
  let floorKey = boundKeys(lane, nKept);
  var leastKey = 0u; var leastOrder = 0u;
  for (var byte = 0u; byte < 4u; byte++) { leastKey = narrowKey(lane, floorKey, leastKey, 24u - 8u * byte); }
  if (workgroupUniformLoad(&nSharing) > workgroupUniformLoad(&remaining)) {
    for (var byte = 0u; byte < 3u; byte++) { leastOrder = narrowOrder(lane, leastKey, leastOrder, 16u - 8u * byte); }
  }
  collect(lane, leastKey, leastOrder);
  sortKept(lane, nKept);
  let place = pick(lane, cut(lane, nKept));
  if (lane == 0u) {
    sampled[0] = ids[place];
    tokens[0] = ids[place];
  }
}

// Greater for a lower id: where keys are equal, this says who comes first.
fn orderOf(id: u32) -> u32 { return ~id & ((1u << ID_BITS) - 1u); }

// A key that the k-th greatest is not below: of as many shares as are kept, or more, the least of their greatest, for each
// share has one at or above it. It spares the histograms most additions, which would meet in the few bins that share an
// exponent and wait for each other. 0 where there are too few shares.
fn boundKeys(lane: u32, nKept: u32) -> u32 {
  if (nKept > LOADS * LANES) { return 0u; }
  var best = vec4u(0u);
  for (var first = lane; first + (LOADS - 1u) * LANES < params.nVocab; first += LOADS * LANES) {
    best = max(best, vec4u(
      keyOf(logits[first]), keyOf(logits[first + LANES]), keyOf(logits[first + 2u * LANES]), keyOf(logits[first + 3u * LANES]),
    ));
  }
  let pairs = vec4u(max(best.xy, best.zw), min(best.xy, best.zw));
  let least = select(min(pairs.z, pairs.w), max(pairs.x, pairs.y), nKept <= LANES);
  atomicMax(&floorOfKeys, ~least);
  workgroupBarrier();
  return ~atomicLoad(&floorOfKeys);
}

// Finds one more byte of the k-th greatest key, from bit `shift` on; those `known` are above it.
fn narrowKey(lane: u32, floorKey: u32, known: u32, shift: u32) -> u32 {
  clearHistogram(lane);
  let last = params.nVocab - 1u;
  for (var first = lane; first < params.nVocab; first += LOADS * LANES) {
#repeat j LOADS
    let key$j = keyOf(logits[min(first + $ju * LANES, last)]);
#end
#repeat j LOADS
    // Shifting by 32 is undefined, so the known bytes are compared in two steps.
    if (key$j >= floorKey && ((key$j >> shift) >> 8u) == known && first + $ju * LANES < params.nVocab) {
      atomicAdd(&histogram[(key$j >> shift) & 255u], 1u);
    }
#end
  }
  return (known << 8u) | chooseByte(lane);
}

// The same for the order among those whose key is the k-th greatest. Seldom needed.
fn narrowOrder(lane: u32, leastKey: u32, known: u32, shift: u32) -> u32 {
  clearHistogram(lane);
  for (var id = lane; id < params.nVocab; id += LANES) {
    let order = orderOf(id);
    if (((order >> shift) >> 8u) == known && keyOf(logits[id]) == leastKey) {
      atomicAdd(&histogram[(order >> shift) & 255u], 1u);
    }
  }
  return (known << 8u) | chooseByte(lane);
}

fn clearHistogram(lane: u32) {
  for (var bin = lane; bin < 256u; bin += LANES) { atomicStore(&histogram[bin], 0u); }
  workgroupBarrier();
}

// The bin, from the top, with which the count reaches `remaining`.
fn chooseByte(lane: u32) -> u32 {
  workgroupBarrier();
  if (lane == 0u) {
    var byte = 255u;
    loop {
      let n = atomicLoad(&histogram[byte]);
      nSharing = n;
      if (n >= remaining || byte == 0u) { break; }
      remaining -= n;
      byte--;
    }
    chosenByte = byte;
  }
  workgroupBarrier();
  return chosenByte;
}

// The kept ones, in any order: sorting gives them theirs.
fn collect(lane: u32, leastKey: u32, leastOrder: u32) {
  for (var i = lane; i < MOST; i += LANES) { keys[i] = 0u; ids[i] = 0xffffffffu; }
  workgroupBarrier();
  let last = params.nVocab - 1u;
  for (var first = lane; first < params.nVocab; first += LOADS * LANES) {
#repeat j LOADS
    let key$j = keyOf(logits[min(first + $ju * LANES, last)]);
#end
#repeat j LOADS
    if (key$j >= leastKey) { keep(first + $ju * LANES, key$j, leastKey, leastOrder); }
#end
  }
  workgroupBarrier();
}

fn keep(id: u32, key: u32, leastKey: u32, leastOrder: u32) {
  if (id >= params.nVocab || (key == leastKey && orderOf(id) < leastOrder)) { return; }
  let place = atomicAdd(&nCollected, 1u);
  keys[place] = key;
  ids[place] = id;
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

// Of the i-th of the sorted list, relative to the first. Infinities are known by their keys: arithmetic may assume none.
fn weightOf(i: u32, temperature: f32) -> f32 {
  if (keys[i] <= KEY_OF_MINUS_INFINITY) { return 0.0; }
  if (keys[i] == keys[0]) { return 1.0; }
  if (keys[0] == KEY_OF_INFINITY) { return 0.0; }
  // Halved, since the difference of two finite numbers can overflow.
  let behind = max(0.5 * valueOf(keys[i]) - 0.5 * valueOf(keys[0]), -1e4) * 2.0 / temperature;
  return select(0.0, exp(max(behind, -80.0)), behind > -80.0);
}

// sums[i] = Σ weights[0 … i] of the first n; behind them it stays at the total.
fn sumWeights(lane: u32, n: u32, temperature: f32) {
  var sum = 0.0;
  for (var i = lane * SHARE; i < (lane + 1u) * SHARE; i++) {
    if (i < n) { sum += weightOf(i, temperature); }
    sums[i] = sum;
  }
  laneSums[lane] = sum;
  workgroupBarrier();
  var before = 0.0;
  for (var other = 0u; other < lane; other++) { before += laneSums[other]; }
  for (var i = lane * SHARE; i < (lane + 1u) * SHARE; i++) { sums[i] += before; }
  workgroupBarrier();
}

// How many top-p and min-p leave: both leave a beginning of the list, and never nothing.
fn cut(lane: u32, nKept: u32) -> u32 {
  let topP = sampling[2]; let minP = sampling[3];
  if (sampling[0] <= 0.0) { return 1u; }
  sumWeights(lane, nKept, 1.0);
  var n = 0u;
  for (var i = lane; i < nKept; i += LANES) {
    let wanted = topP >= 1.0 || sums[max(i, 1u) - 1u] < topP * sums[MOST - 1u];
    if (i == 0u || (wanted && weightOf(i, 1.0) >= minP)) { n++; }
  }
  atomicAdd(&nSurvivors, n);
  workgroupBarrier();
  return atomicLoad(&nSurvivors);
}

// The place at which the sum passes u of the total; should rounding let none pass, the last that has mass.
fn pick(lane: u32, nLeft: u32) -> u32 {
  sumWeights(lane, nLeft, max(sampling[0], 1e-4));
  let total = sums[MOST - 1u];
  var n = 0u;
  for (var i = lane; i < nLeft; i += LANES) {
    if (sums[i] < total && sums[i] <= sampling[4] * total) { n++; }
  }
  atomicAdd(&nPassed, n);
  workgroupBarrier();
  return atomicLoad(&nPassed);
}
