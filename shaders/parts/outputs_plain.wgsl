// What an expert's matrices say.
fn outputOf(pair: u32, i: u32) -> vec4f { return outputs[pair * params.nVectors + i]; }
