// What both families of groupNorm share.
struct Params { nTokens: u32, nGroups: u32, groupVectors: u32, strideVectors: u32, offsetVectors: u32, eps: f32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;     // [groupDim]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;    // [T, stride]
fn firstOf(group: u32) -> u32 {
  let token = group / params.nGroups;
  return token * params.strideVectors + params.offsetVectors + (group - token * params.nGroups) * params.groupVectors;
}
