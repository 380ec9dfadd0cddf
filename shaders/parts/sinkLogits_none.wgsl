// What a sum over all keys is multiplied with; nothing where there was no key.
fn finish(greatest: f32, total: f32, head: u32) -> f32 { return select(1.0 / total, 0.0, total == 0.0); }
