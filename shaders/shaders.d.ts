// Generated from the WGSL by `pnpm gen`; a test holds it to its source.

declare module '#shaders/argmax.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ logits: 'read'; sampled: 'readWrite'; tokens: 'readWrite' }, { nVocab: 'u32'; logitStride: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/attentionCooperative.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ q: 'read'; kCache: 'read'; vCache: 'read'; nKeys: 'read'; y: 'readWrite' }, { nTokens: 'u32'; nHeads: 'u32'; nKvHeads: 'u32'; nCacheSlots: 'u32'; qStride: 'u32'; scale: 'f32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/attentionThread.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ q: 'read'; kCache: 'read'; vCache: 'read'; nKeys: 'read'; y: 'readWrite' }, { nTokens: 'u32'; nHeads: 'u32'; nKvHeads: 'u32'; nCacheSlots: 'u32'; qStride: 'u32'; scale: 'f32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/combine.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ outputs: 'read'; routeWeights: 'read'; y: 'readWrite' }, { nTokens: 'u32'; nVectors: 'u32'; nExpertsUsed: 'u32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/embed.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ main: 'read'; side: 'read'; tokens: 'read'; x: 'readWrite' }, { nTokens: 'u32'; nVocab: 'u32'; nGroups: 'u32'; mainBase: 'u32'; sideBase: 'u32' }, never, 'unpack'>;
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

declare module '#shaders/lookup.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ ids: 'read'; waveTable: 'read'; slots: 'readWrite' }, { nPairs: 'u32'; stage: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/matmulCooperative.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ main: 'read'; side: 'read'; x: 'read'; y: 'readWrite' }, { nOut: 'u32'; nRows: 'u32'; nGroups: 'u32'; nColumns: 'u32'; nExperts: 'u32'; pairsPerX: 'u32'; xStride: 'u32'; yStride: 'u32'; xOffset: 'u32'; yOffset: 'u32'; mainBase: 'u32'; sideBase: 'u32'; slotStride: 'u32'; firstSlot: 'u32'; nSlots: 'u32'; stage: 'u32' }, never, 'unpack' | 'columns' | 'output' | 'lanes'>;
  export default shader;
}

declare module '#shaders/matmulThread.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ main: 'read'; side: 'read'; x: 'read'; y: 'readWrite' }, { nOut: 'u32'; nRows: 'u32'; nGroups: 'u32'; nColumns: 'u32'; nExperts: 'u32'; pairsPerX: 'u32'; xStride: 'u32'; yStride: 'u32'; xOffset: 'u32'; yOffset: 'u32'; mainBase: 'u32'; sideBase: 'u32'; slotStride: 'u32'; firstSlot: 'u32'; nSlots: 'u32'; stage: 'u32' }, never, 'unpack' | 'columns' | 'output'>;
  export default shader;
}

declare module '#shaders/matmulTile.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ main: 'read'; side: 'read'; x: 'read'; y: 'readWrite' }, { nOut: 'u32'; nRows: 'u32'; nGroups: 'u32'; nColumns: 'u32'; nExperts: 'u32'; pairsPerX: 'u32'; xStride: 'u32'; yStride: 'u32'; xOffset: 'u32'; yOffset: 'u32'; mainBase: 'u32'; sideBase: 'u32'; slotStride: 'u32'; firstSlot: 'u32'; nSlots: 'u32'; stage: 'u32' }, never, 'unpack' | 'columns' | 'output'>;
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
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ qkv: 'read'; angles: 'read'; cacheSlots: 'read'; q: 'readWrite'; kCache: 'readWrite'; vCache: 'readWrite' }, { nTokens: 'u32'; nHeads: 'u32'; nKvHeads: 'u32'; headDim: 'u32'; ropeDim: 'u32'; qkvStride: 'u32'; qStride: 'u32'; nCacheSlots: 'u32'; stage: 'u32' }, never, 'pairs'>;
  export default shader;
}

declare module '#shaders/route.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ logits: 'read'; ids: 'readWrite'; routeWeights: 'readWrite' }, { nExperts: 'u32'; nExpertsUsed: 'u32'; logitStride: 'u32'; layer: 'u32'; allStage: 'u32'; absent: 'u32' }, never, 'slots'>;
  export default shader;
}

declare module '#shaders/sample.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').Shader<{ logits: 'read'; sampling: 'read'; sampled: 'readWrite'; tokens: 'readWrite' }, { nVocab: 'u32'; logitStride: 'u32' }, never, never>;
  export default shader;
}

declare module '#shaders/parts/attentionHead.wgsl' {
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

declare module '#shaders/parts/order.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/output_add.wgsl' {
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

declare module '#shaders/parts/pairs_halves.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}

declare module '#shaders/parts/pairs_interleaved.wgsl' {
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

declare module '#shaders/parts/weights.wgsl' {
  const shader: import('../packages/floe/src/gpu/shader.ts').ShaderPart;
  export default shader;
}
