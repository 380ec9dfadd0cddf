// Where each chosen expert lies, by the page table; an absent one lowers the fault flag, and nothing that needs it runs.
@group(0) @binding(2) var<storage, read> pageTable: array<u32>;            // [nLayers, nExperts] slot or absent
@group(0) @binding(5) var<storage, read_write> slots: array<u32>;          // [T, nExpertsUsed]
@group(0) @binding(6) var<storage, read_write> faultFlag: array<atomic<u32>>;
fn behindMiss(stage: u32) -> bool { return atomicLoad(&faultFlag[0]) < stage; }
fn place(at: u32, expert: u32) {
  let slot = pageTable[params.layer * params.nExperts + expert];
  slots[at] = slot;
  if (slot == params.absent) { atomicMin(&faultFlag[0], params.allStage); }
}
