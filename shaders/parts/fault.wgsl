// Nothing behind an absent expert may run. fault[0] is the stage of the first miss, or 0xffffffff; layer l's attention
// and dense MLP are stage 2l, its experts 2l + 1, and a miss in layer l lowers the flag to 2l: so the experts of l and
// all that follows fall through, and the residual stream stays as it was.
@group(1) @binding(0) var<storage, read> fault: array<u32>;
fn faulted(stage: u32) -> bool { return fault[0] < stage; }
