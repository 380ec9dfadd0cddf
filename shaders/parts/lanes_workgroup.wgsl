// The lanes of a set are a whole workgroup, which adds up in its memory: for adapters without subgroups, and for tests.
const LANES_WORKGROUP = 64u; // tunable
var<workgroup> laneValues: array<f32, LANES_WORKGROUP>;
fn nLanes() -> u32 { return LANES_WORKGROUP; }
fn laneIndex(local: u32) -> u32 { return local; }
fn nSets(lanes: u32) -> u32 { return 1u; }
fn laneSet(local: u32, lanes: u32) -> u32 { return 0u; }
fn laneSum(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  laneValues[local] = value;
  for (var half = LANES_WORKGROUP / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local < half) { laneValues[local] += laneValues[local + half]; }
  }
  workgroupBarrier();
  return laneValues[0];
}
