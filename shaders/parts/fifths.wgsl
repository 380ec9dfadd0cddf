// Four bits to the fifth bit of four bytes.
fn fifths(bits: u32) -> u32 { return (((bits & 15u) * 0x00204081u) & 0x01010101u) << 4u; }
// Of a word of fifth bits those of the low and of the high nibbles of a group.
fn lowFifths(bits: u32) -> vec4u { return vec4u(fifths(bits), fifths(bits >> 4u), fifths(bits >> 8u), fifths(bits >> 12u)); }
fn highFifths(bits: u32) -> vec4u { return lowFifths(bits >> 16u); }
