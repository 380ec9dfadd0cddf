// Generated from the WGSL by `pnpm gen`; a test holds it to its source.

declare module '#shaders/activate.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ gateUp: 'read'; y: 'readWrite' }, { dim: 'u32'; gateUpStride: 'u32'; yStride: 'u32'; stage: 'u32' }, never, 'activation'>;
  export default shader;
}

declare module '#shaders/activateExperts.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ gateUp: 'read'; gateBias: 'read'; upBias: 'read'; ids: 'read'; slots: 'read'; y: 'readWrite' }, { nVectors: 'u32'; gateUpStride: 'u32'; biasStride: 'u32'; absent: 'u32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/addBranch.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ branch: 'read'; x: 'readWrite' }, { nVectors: 'u32'; gateStride: 'u32'; scale: 'f32'; stage: 'u32' }, never, 'gain'>;
  export default shader;
}

declare module '#shaders/argmax.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ logits: 'read'; sampled: 'readWrite'; tokens: 'readWrite' }, { nVocab: 'u32'; logitStride: 'u32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/attentionCooperative.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ places: 'read'; blockTable: 'read'; q: 'read'; y: 'readWrite' }, { nTokens: 'u32'; nHeads: 'u32'; nKvHeads: 'u32'; qStride: 'u32'; yStride: 'u32'; window: 'u32'; nSinks: 'u32'; fixedBlocks: 'u32'; tableBlocks: 'u32'; nSplits: 'u32'; scale: 'f32'; softCap: 'f32'; lastKey: 'u32'; stage: 'u32' }, never, 'kv' | 'sinkLogits'>;
  export default shader;
}

declare module '#shaders/attentionMerge.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ places: 'read'; blockTable: 'read'; q: 'read'; partials: 'read'; y: 'readWrite' }, { nTokens: 'u32'; nHeads: 'u32'; nKvHeads: 'u32'; qStride: 'u32'; yStride: 'u32'; window: 'u32'; nSinks: 'u32'; fixedBlocks: 'u32'; tableBlocks: 'u32'; nSplits: 'u32'; scale: 'f32'; softCap: 'f32'; lastKey: 'u32'; stage: 'u32' }, never, 'kv' | 'sinkLogits'>;
  export default shader;
}

declare module '#shaders/attentionSplitCooperative.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ places: 'read'; blockTable: 'read'; q: 'read'; partials: 'readWrite' }, { nTokens: 'u32'; nHeads: 'u32'; nKvHeads: 'u32'; qStride: 'u32'; yStride: 'u32'; window: 'u32'; nSinks: 'u32'; fixedBlocks: 'u32'; tableBlocks: 'u32'; nSplits: 'u32'; scale: 'f32'; softCap: 'f32'; lastKey: 'u32'; stage: 'u32' }, never, 'kv'>;
  export default shader;
}

declare module '#shaders/attentionSplitThread.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ places: 'read'; blockTable: 'read'; q: 'read'; partials: 'readWrite' }, { nTokens: 'u32'; nHeads: 'u32'; nKvHeads: 'u32'; qStride: 'u32'; yStride: 'u32'; window: 'u32'; nSinks: 'u32'; fixedBlocks: 'u32'; tableBlocks: 'u32'; nSplits: 'u32'; scale: 'f32'; softCap: 'f32'; lastKey: 'u32'; stage: 'u32' }, never, 'kv'>;
  export default shader;
}

declare module '#shaders/attentionThread.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ places: 'read'; blockTable: 'read'; q: 'read'; y: 'readWrite' }, { nTokens: 'u32'; nHeads: 'u32'; nKvHeads: 'u32'; qStride: 'u32'; yStride: 'u32'; window: 'u32'; nSinks: 'u32'; fixedBlocks: 'u32'; tableBlocks: 'u32'; nSplits: 'u32'; scale: 'f32'; softCap: 'f32'; lastKey: 'u32'; stage: 'u32' }, never, 'kv' | 'sinkLogits'>;
  export default shader;
}

declare module '#shaders/combine.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ outputs: 'read'; routeWeights: 'read'; y: 'readWrite' }, { nVectors: 'u32'; nExpertsUsed: 'u32'; renormalise: 'u32'; inverseScale: 'f32'; stage: 'u32' }, never, 'outputs'>;
  export default shader;
}

declare module '#shaders/embed.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ main: 'read'; side: 'read'; tokens: 'read'; x: 'readWrite' }, { nTokens: 'u32'; nVocab: 'u32'; firstRow: 'u32'; nRows: 'u32'; nGroups: 'u32'; mainBase: 'u32'; sideBase: 'u32'; scale: 'f32' }, never, 'unpack'>;
  export default shader;
}

declare module '#shaders/groupByExpertCooperative.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ ids: 'read'; starts: 'readWrite'; sorted: 'readWrite' }, { nPairs: 'u32'; nExperts: 'u32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/groupByExpertThread.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ ids: 'read'; starts: 'readWrite'; sorted: 'readWrite' }, { nPairs: 'u32'; nExperts: 'u32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/groupNormCooperative.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ weight: 'read'; y: 'readWrite' }, { nTokens: 'u32'; nGroups: 'u32'; groupVectors: 'u32'; strideVectors: 'u32'; offsetVectors: 'u32'; eps: 'f32'; stage: 'u32' }, never, 'lanes'>;
  export default shader;
}

declare module '#shaders/groupNormThread.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ weight: 'read'; y: 'readWrite' }, { nTokens: 'u32'; nGroups: 'u32'; groupVectors: 'u32'; strideVectors: 'u32'; offsetVectors: 'u32'; eps: 'f32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/latentHeads.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ q: 'read'; keys: 'read'; keyRope: 'read'; values: 'read'; qkv: 'readWrite' }, { nHeads: 'u32'; plainDim: 'u32'; ropeDim: 'u32'; valueDim: 'u32'; qStride: 'u32'; kStride: 'u32'; kHeadStride: 'u32'; vStride: 'u32'; vHeadStride: 'u32'; vOffset: 'u32'; ropeStride: 'u32'; qkvStride: 'u32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/latentKeys.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ main: 'read'; side: 'read'; latent: 'read'; y: 'readWrite' }, { nHeads: 'u32'; rank: 'u32'; nGroups: 'u32'; plainDim: 'u32'; latentStride: 'u32'; yStride: 'u32'; mainBase: 'u32'; sideBase: 'u32'; stage: 'u32' }, never, 'unpack'>;
  export default shader;
}

declare module '#shaders/layerNormCooperative.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ x: 'read'; weight: 'read'; y: 'readWrite' }, { nTokens: 'u32'; modelDim: 'u32'; stride: 'u32'; eps: 'f32'; stage: 'u32' }, never, 'shift' | 'lanes'>;
  export default shader;
}

declare module '#shaders/layerNormThread.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ x: 'read'; weight: 'read'; y: 'readWrite' }, { nTokens: 'u32'; modelDim: 'u32'; stride: 'u32'; eps: 'f32'; stage: 'u32' }, never, 'shift'>;
  export default shader;
}

declare module '#shaders/lookup.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ ids: 'read'; waveTable: 'read'; slots: 'readWrite' }, { nPairs: 'u32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/matmulCooperative.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ main: 'read'; side: 'read'; x: 'read'; y: 'readWrite' }, { nOut: 'u32'; nRows: 'u32'; nGroups: 'u32'; nColumns: 'u32'; nExperts: 'u32'; pairsPerX: 'u32'; xStride: 'u32'; yStride: 'u32'; xOffset: 'u32'; yOffset: 'u32'; mainBase: 'u32'; sideBase: 'u32'; slotStride: 'u32'; firstSlot: 'u32'; nSlots: 'u32'; scale: 'f32'; stage: 'u32' }, never, 'unpack' | 'columns' | 'output' | 'lanes'>;
  export default shader;
}

declare module '#shaders/matmulThread.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ main: 'read'; side: 'read'; x: 'read'; y: 'readWrite' }, { nOut: 'u32'; nRows: 'u32'; nGroups: 'u32'; nColumns: 'u32'; nExperts: 'u32'; pairsPerX: 'u32'; xStride: 'u32'; yStride: 'u32'; xOffset: 'u32'; yOffset: 'u32'; mainBase: 'u32'; sideBase: 'u32'; slotStride: 'u32'; firstSlot: 'u32'; nSlots: 'u32'; scale: 'f32'; stage: 'u32' }, never, 'unpack' | 'columns' | 'output'>;
  export default shader;
}

declare module '#shaders/matmulTile.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ main: 'read'; side: 'read'; x: 'read'; y: 'readWrite' }, { nOut: 'u32'; nRows: 'u32'; nGroups: 'u32'; nColumns: 'u32'; nExperts: 'u32'; pairsPerX: 'u32'; xStride: 'u32'; yStride: 'u32'; xOffset: 'u32'; yOffset: 'u32'; mainBase: 'u32'; sideBase: 'u32'; slotStride: 'u32'; firstSlot: 'u32'; nSlots: 'u32'; scale: 'f32'; stage: 'u32' }, never, 'unpack' | 'columns' | 'output'>;
  export default shader;
}

declare module '#shaders/pointwise.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ y: 'readWrite' }, { nVectors: 'u32'; strideVectors: 'u32'; offsetVectors: 'u32'; rowVectors: 'u32'; rowStride: 'u32'; amount: 'f32'; stage: 'u32' }, never, 'change'>;
  export default shader;
}

declare module '#shaders/presentExperts.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ ids: 'read'; slots: 'read'; present: 'readWrite' }, { nPairs: 'u32'; absent: 'u32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/rmsNormCooperative.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ x: 'read'; weight: 'read'; y: 'readWrite' }, { nTokens: 'u32'; modelDim: 'u32'; stride: 'u32'; eps: 'f32'; stage: 'u32' }, never, 'lanes'>;
  export default shader;
}

declare module '#shaders/rmsNormThread.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ x: 'read'; weight: 'read'; y: 'readWrite' }, { nTokens: 'u32'; modelDim: 'u32'; stride: 'u32'; eps: 'f32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/ropeAppend.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ places: 'read'; blockTable: 'read'; qkv: 'read'; angles: 'read'; q: 'readWrite' }, { nTokens: 'u32'; nHeads: 'u32'; nKvHeads: 'u32'; ropeFirst: 'u32'; ropeDim: 'u32'; qkvStride: 'u32'; qStride: 'u32'; fixedBlocks: 'u32'; tableBlocks: 'u32'; stage: 'u32' }, never, 'kv' | 'pairs'>;
  export default shader;
}

declare module '#shaders/route.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ logits: 'read'; ids: 'readWrite'; routeWeights: 'readWrite' }, { nExperts: 'u32'; nExpertsUsed: 'u32'; nGroups: 'u32'; nGroupsUsed: 'u32'; logitStride: 'u32'; layer: 'u32'; allStage: 'u32'; absent: 'u32' }, never, 'slots' | 'gating' | 'bias' | 'choice'>;
  export default shader;
}

declare module '#shaders/sample.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ logits: 'read'; sampling: 'read'; sampled: 'readWrite'; tokens: 'readWrite' }, { nVocab: 'u32'; logitStride: 'u32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/parts/activation_geglu.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/activation_swiglu.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/attentionHead.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/attentionRowsCooperative.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/attentionRowsThread.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/bias_none.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/bias_selection.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/bytes.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/centered.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/change_bias.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/change_cap.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/change_clamp.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/change_gelu.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/change_scale.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/choice_all.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/choice_groups.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/choice_logits.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/columns_dense.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/columns_grouped.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/columns_pairs.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/fault.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/fifths.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/gain_gate.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/gain_scale.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/gating_sigmoid.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/gating_softmax.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/gelu.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/groups.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/iq4Table.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/kvPlace.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/kv_load_f16.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/kv_load_f32.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/kv_load_q8_0.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/kv_store_f16.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/kv_store_f32.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/kv_store_q8_0.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/lanes_subgroup.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/lanes_workgroup.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/matmulGroup.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/matmulHead.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/named.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/order.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/output_add.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/output_geglu.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/output_store.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/output_swiglu.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/outputs_biased.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/outputs_plain.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/pairs_halves.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/pairs_interleaved.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/scaleAndMin.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/shift_bias.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/shift_none.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/silu.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/sinkLogits_learned.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/sinkLogits_none.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/slots_later.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/slots_paged.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/softmaxMerge.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_bf16.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_f16.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_f32.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_f8_e4m3.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_iq4_nl.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_iq4_xs.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_mxfp4.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_q2_k.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_q3_k.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_q4_0.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_q4_1.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_q4_k.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_q5_0.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_q5_1.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_q5_k.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_q6_k.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_q8_0.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/unpack_tq2_0.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/weights.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}
