// Cut to ± amount (DBRX).
fn change(value: vec4f, i: u32) -> vec4f { return clamp(value, vec4f(-params.amount), vec4f(params.amount)); }
