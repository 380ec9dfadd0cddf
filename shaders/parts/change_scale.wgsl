// · amount
fn change(value: vec4f, i: u32) -> vec4f { return value * params.amount; }
