// What balances the experts' loads: it counts in the choice and not in the weights (DeepSeek-V3).
@group(0) @binding(7) var<storage, read> selectionBias: array<f32>;        // [nExperts]
fn biasOf(expert: u32) -> f32 { return selectionBias[expert]; }
