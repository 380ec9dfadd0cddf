// Experts are looked up later, wave by wave (lookup.wgsl): a prompt's may be more than there are slots.
fn behindMiss(stage: u32) -> bool { return false; }
fn place(at: u32, expert: u32) {}
