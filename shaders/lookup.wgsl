// slots[T, nExpertsUsed]: where each chosen expert lies, for the wave of experts whose turn it is; the others are absent.
#import "parts/fault.wgsl"

struct Params { nPairs: u32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;            // [T, nExpertsUsed]
@group(0) @binding(2) var<storage, read> waveTable: array<u32>;      // [nExperts] slot or absent
@group(0) @binding(3) var<storage, read_write> slots: array<u32>;    // [T, nExpertsUsed]

@compute @workgroup_size(16)
fn lookup(@builtin(global_invocation_id) id: vec3u) {
  if (faulted(params.stage) || id.x >= params.nPairs) { return; }
  slots[id.x] = waveTable[ids[id.x]];
}
