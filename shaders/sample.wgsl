// Draws an id for each row of logits: top-k, then top-p and min-p on the probabilities at temperature 1, then the temperature, then u picks.
// One workgroup a row. The k-th greatest key is found a byte at a time by histograms, the k are sorted, and sums over the
// sorted list cut it and pick. Integer counts and a sort by (key, id) make it the same on every adapter, but for the
// rounding of exp. A logit of -inf or NaN has no mass; where none has any, the first of the sorted list is picked.
#import "parts/fault.wgsl"
#import "parts/order.wgsl"

const LANES = 256u; // tunable
const MOST = 1024u;   // candidates at the most: beyond them the mass is negligible at usable temperatures
const SHARE = MOST / LANES;
const LOADS = 4u;     // under way at once: nothing but this workgroup hides their latency
const ID_BITS = 24u;  // a vocabulary is smaller
const KEY_OF_INFINITY = 0xff800000u;
const KEY_OF_MINUS_INFINITY = 0x007fffffu;
const NO_MASS = -1e4;   // behind the first: its exponential is 0 at every temperature up to 100
const SAMPLING_VALUES = 8u;
struct Params { nVocab: u32, logitStride: u32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;              // [R, logitStride]
@group(0) @binding(2) var<storage, read> sampling: array<f32>;            // [R, 8] temperature, topK, topP, minP, u
@group(0) @binding(3) var<storage, read_write> sampled: array<u32>;       // [R] what the host reads back
@group(0) @binding(4) var<storage, read_write> tokens: array<u32>;        // [R] the next step's input

// 14.1 KiB of the 16 that every device has. Workgroup memory begins as zeros.
var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> keys: array<u32, MOST>;
var<workgroup> ids: array<u32, MOST>;
var<workgroup> sums: array<f32, MOST>;      // of the weights up to and with a place
var<workgroup> laneSums: array<f32, LANES>;
var<workgroup> floorOfKeys: atomic<u32>;    // the complement of a key that the k-th greatest is not below
var<workgroup> chosenByte: u32;
var<workgroup> remaining: u32;              // how many of those that share the known bytes are wanted
var<workgroup> allWanted: u32;              // 1: there are no more than that
var<workgroup> nCollected: atomic<u32>;
var<workgroup> nCounted: array<atomic<u32>, 2>;

var<private> row: u32;
fn logitOf(id: u32) -> f32 { return logits[row * params.logitStride + id]; }
// Given its row, not the private one: it decides control flow, so it must be seen to be uniform.
fn samplingOf(uniformRow: u32, value: u32) -> f32 { return sampling[uniformRow * SAMPLING_VALUES + value]; }

@compute @workgroup_size(LANES)
fn sample(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  row = workgroup.x;
  let topK = u32(samplingOf(workgroup.x, 1u));
  let nKept = min(min(select(topK, MOST, topK == 0u), MOST), params.nVocab);
  if (lane == 0u) { remaining = nKept; }
  let least = findLeast(lane, boundKeys(lane, nKept));
  collect(lane, least);
  sortKept(lane, nKept);
  let place = pick(workgroup.x, lane, nKept);
  // Behind a miss the ids are still the step's input.
  if (lane == 0u && !faulted(params.stage)) {
    sampled[row] = ids[place];
    tokens[row] = ids[place];
  }
}

// What the last one kept has at least: a key, and among those with this very key an order.
struct Least { key: u32, order: u32 }

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
      keyOf(logitOf(first)), keyOf(logitOf(first + LANES)), keyOf(logitOf(first + 2u * LANES)), keyOf(logitOf(first + 3u * LANES)),
    ));
  }
  let pairs = vec4u(max(best.xy, best.zw), min(best.xy, best.zw));
  let least = select(min(pairs.z, pairs.w), max(pairs.x, pairs.y), nKept <= LANES);
  atomicMax(&floorOfKeys, ~least);
  workgroupBarrier();
  return ~atomicLoad(&floorOfKeys);
}

// The k-th greatest, a byte at a time: four bytes of its key and, seldom, where not all that have this key are wanted,
// three of its order.
fn findLeast(lane: u32, floorKey: u32) -> Least {
  let last = params.nVocab - 1u;
  var least = Least(0u, 0u);
  for (var byte = 0u; byte < 7u; byte++) {
    let ofKey = byte < 4u;
    let shift = select(48u, 24u, ofKey) - 8u * byte;
    let known = select(least.order, least.key, ofKey);
    for (var bin = lane; bin < 256u; bin += LANES) { atomicStore(&histogram[bin], 0u); }
    workgroupBarrier();
    for (var first = lane; first < params.nVocab; first += LOADS * LANES) {
#repeat j LOADS
      let id$j = first + $ju * LANES; let key$j = keyOf(logitOf(min(id$j, last)));
#end
#repeat j LOADS
      let value$j = select(orderOf(id$j), key$j, ofKey);
      // Shifting by 32 is undefined, so the known bytes are compared in two steps.
      if (id$j <= last && key$j >= floorKey && ((value$j >> shift) >> 8u) == known && (ofKey || key$j == least.key)) {
        atomicAdd(&histogram[(value$j >> shift) & 255u], 1u);
      }
#end
    }
    workgroupBarrier();
    if (lane == 0u) { chooseByte(); }
    let enough = workgroupUniformLoad(&allWanted) == 1u;
    let found = (known << 8u) | chosenByte;
    if (ofKey) { least.key = found; } else { least.order = found; }
    if (byte == 3u && enough) { break; }
  }
  return least;
}

// The bin, from the top, with which the count reaches `remaining`.
fn chooseByte() {
  var byte = 255u;
  var n = atomicLoad(&histogram[byte]);
  while (n < remaining && byte > 0u) {
    remaining -= n;
    byte--;
    n = atomicLoad(&histogram[byte]);
  }
  chosenByte = byte;
  allWanted = select(0u, 1u, n <= remaining);
}

// The kept ones, in any order: sorting gives them theirs.
fn collect(lane: u32, least: Least) {
  for (var i = lane; i < MOST; i += LANES) { keys[i] = 0u; ids[i] = 0xffffffffu; }
  workgroupBarrier();
  let last = params.nVocab - 1u;
  for (var first = lane; first < params.nVocab; first += LOADS * LANES) {
#repeat j LOADS
    let id$j = first + $ju * LANES; let key$j = keyOf(logitOf(min(id$j, last)));
#end
#repeat j LOADS
    if (id$j <= last && (key$j > least.key || (key$j == least.key && orderOf(id$j) >= least.order))) {
      let place = atomicAdd(&nCollected, 1u);
      keys[place] = key$j;
      ids[place] = id$j;
    }
#end
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

// How far the i-th of the sorted list is behind the first. Infinities are known by their keys: arithmetic may assume none.
fn behind(i: u32) -> f32 {
  if (keys[i] <= KEY_OF_MINUS_INFINITY) { return NO_MASS; }
  if (keys[i] == keys[0]) { return 0.0; }
  if (keys[0] == KEY_OF_INFINITY) { return NO_MASS; }
  // Halved, since the difference of two finite numbers can overflow.
  return 2.0 * max(0.5 * valueOf(keys[i]) - 0.5 * valueOf(keys[0]), 0.5 * NO_MASS);
}

// sums[i] = Σ exp(behind / temperature) of 0 … i, as far as they are among the first n; after them, the total.
fn sumWeights(lane: u32, n: u32, temperature: f32) {
  var sum = 0.0;
  for (var i = lane * SHARE; i < (lane + 1u) * SHARE; i++) {
    let exponent = behind(i) / temperature;
    if (i < n && exponent > -80.0) { sum += exp(exponent); }
    sums[i] = sum;
  }
  laneSums[lane] = sum;
  workgroupBarrier();
  var before = 0.0;
  for (var other = 0u; other < lane; other++) { before += laneSums[other]; }
  for (var i = lane * SHARE; i < (lane + 1u) * SHARE; i++) { sums[i] += before; }
  workgroupBarrier();
}

// Counts twice: whom top-p and min-p leave, each a beginning of the list and never nothing; then, of those, whose sums u
// has passed. Should rounding let it pass all, the last with mass is picked.
fn pick(uniformRow: u32, lane: u32, nKept: u32) -> u32 {
  let temperature = samplingOf(uniformRow, 0u); let topP = samplingOf(uniformRow, 2u); let minP = samplingOf(uniformRow, 3u); let u = samplingOf(uniformRow, 4u);
  let leastBehind = select(2.0 * NO_MASS, min(log(max(minP, 1e-30)), 0.0), minP > 0.0);
  var n = select(nKept, 1u, temperature <= 0.0);
  for (var round = 0u; round < 2u; round++) {
    let cutting = round == 0u;
    sumWeights(lane, n, select(max(temperature, 1e-4), 1.0, cutting));
    let total = sums[MOST - 1u];
    var count = 0u;
    for (var i = lane; i < n; i += LANES) {
      let left = i == 0u || ((topP >= 1.0 || sums[i - 1u] < topP * total) && behind(i) >= leastBehind);
      let passed = sums[i] < total && sums[i] <= u * total;
      if (select(passed, left, cutting)) { count++; }
    }
    atomicAdd(&nCounted[round], count);
    workgroupBarrier();
    n = atomicLoad(&nCounted[round]);
  }
  return n;
}
