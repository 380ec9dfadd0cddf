// What both families of matmul share: the parameters, and which rows, columns and weights an invocation has.
#import "parts/fault.wgsl"
#import "parts/weights.wgsl"
#import <unpack>

struct Params {
  nOut: u32,          // N: values of a row of y
  nRows: u32,         // rows of the matrix: N, or 2N where gate and up are stacked
  nGroups: u32,       // K / 32
  nColumns: u32,      // T, or T · nExpertsUsed
  nExperts: u32,      // 1 where there are none
  pairsPerX: u32,     // (token, rank) pairs that read one row of x
  xStride: u32,       // of a row of x, in vec4f
  yStride: u32,       // of a row of y, in f32
  xOffset: u32,       // of the first row of x, in vec4f
  yOffset: u32,       // where in its row y begins
  mainBase: u32,      // of the matrix in its record, in vec4u
  sideBase: u32,      // in u32
  slotStride: u32,    // of a record, in vec4u
  firstSlot: u32,     // slots of the bound pool buffer
  nSlots: u32,
  scale: f32,         // of what is added to y
  stage: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> x: array<vec4f>;       // [T, K]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // [T, N]

const ROWS = 4u; // tunable
const COLUMNS = 1u; // tunable

// Up to COLUMNS tokens that share their weights; count 0: nothing to do.
struct Columns { first: u32, count: u32, slot: u32 }
#import <columns>
#import <output>
