// What an expert's matrices say, and its bias.
@group(0) @binding(4) var<storage, read> ids: array<u32>;              // [T, nExpertsUsed]
@group(0) @binding(5) var<storage, read> downBias: array<vec4f>;       // [nExperts, modelDim]
fn outputOf(pair: u32, i: u32) -> vec4f {
  return outputs[pair * params.nVectors + i] + downBias[ids[pair] * params.nVectors + i];
}
