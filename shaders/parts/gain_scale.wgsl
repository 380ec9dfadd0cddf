// One number for all tokens.
fn gain(token: u32) -> f32 { return params.scale; }
