// What both families of attention share: parameters, queries, the cache, and how many keys each token sees.
#import "parts/fault.wgsl"

const HEAD_VECTORS = 8u; // tunable
struct Params { nTokens: u32, nHeads: u32, nKvHeads: u32, nCacheSlots: u32, qStride: u32, scale: f32, stage: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;            // [T, nHeads, headDim]
@group(0) @binding(2) var<storage, read> kCache: array<vec4f>;       // [nKvHeads, nCacheSlots, headDim]
@group(0) @binding(3) var<storage, read> vCache: array<vec4f>;
@group(0) @binding(4) var<storage, read> nKeys: array<u32>;          // [T] keys each token sees
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;      // [T, nHeads, headDim]
