// How a sum of weights taken against one maximum counts against a greater one. Exactly 1 where they are equal.
fn fadeOf(before: f32, after: f32) -> f32 { return select(exp(max(before - after, -80.0)), 1.0, before == after); }
