// What a sum over all keys is multiplied with, where each head has a learned logit that takes part in the softmax and
// adds nothing to the sum (gpt-oss): it is neither scaled nor masked, and enters once.
@group(0) @binding(5) var<storage, read> sinkLogits: array<f32>;   // [nHeads]
fn finish(greatest: f32, total: f32, head: u32) -> f32 {
  let after = max(greatest, sinkLogits[head]);
  let fade = fadeOf(greatest, after);
  return fade / (total * fade + fadeOf(sinkLogits[head], after));
}
