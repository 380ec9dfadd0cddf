// present[T, nExpertsUsed]: the ids of those chosen experts that lie in a slot; the others are absent.  What is indexed by
// expert is then read through this list, and only for the pairs that are computed now.
#import "parts/fault.wgsl"

struct Params { nPairs: u32, absent: u32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;              // [T, nExpertsUsed]
@group(0) @binding(2) var<storage, read> slots: array<u32>;            // [T, nExpertsUsed] or absent
@group(0) @binding(3) var<storage, read_write> present: array<u32>;    // [T, nExpertsUsed]

@compute @workgroup_size(16)
fn presentExperts(@builtin(global_invocation_id) id: vec3u) {
  if (faulted(params.stage) || id.x >= params.nPairs) { return; }
  present[id.x] = select(ids[id.x], params.absent, slots[id.x] == params.absent);
}
