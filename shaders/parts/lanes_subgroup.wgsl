// The lanes of a set are a subgroup, of whatever size; a workgroup holds several sets. No barrier.
enable subgroups;
diagnostic(off, subgroup_uniformity);
const LANES_WORKGROUP = 64u;
fn nLanes() -> u32 { return subgroupAdd(1u); }
fn laneIndex(local: u32) -> u32 { return subgroupExclusiveAdd(1u); }
fn nSets(lanes: u32) -> u32 { return (LANES_WORKGROUP + lanes - 1u) / lanes; }
fn laneSet(local: u32, lanes: u32) -> u32 { return subgroupMin(local) / lanes; }
fn laneSum(value: f32, local: u32) -> f32 { return subgroupAdd(value); }
