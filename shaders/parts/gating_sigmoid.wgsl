// Each expert by itself.
struct Gate { none: u32 }
fn gateOf(row: u32) -> Gate { return Gate(0u); }
fn probability(gate: Gate, logit: f32) -> f32 { return 1.0 / (1.0 + exp(-clamp(ordered(logit), -80.0, 80.0))); }
