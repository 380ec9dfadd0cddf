// y[T, N] = x[T, K] · Wᵀ for many tokens.  A workgroup owns 64 rows and COLUMNS tokens: group by group of 32 it unpacks
// each weight once into its memory, where eight threads meet it, and keeps 8 · SHARE sums a thread in registers.
#import "parts/matmulHead.wgsl"

const SHARE = 4u; // tunable
const VECTORS = 8u;                     // vec4f of a group of 32
const ROW_STRIDE = 9u;                  // of eight rows in memory, one more so that threads don't queue at one bank
const COLUMN_STRIDE = COLUMNS + 1u;     // COLUMNS is 8 · SHARE, ROWS is 8

var<workgroup> weights: array<vec4f, VECTORS * 8u * ROW_STRIDE>;
var<workgroup> inputs: array<vec4f, VECTORS * COLUMN_STRIDE>;

@compute @workgroup_size(64)
fn matmulTile(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  if (faulted(params.stage)) { return; }
  let columns = columnsOf(workgroup.y);
  if (columns.count == 0u) { return; }
  let mainBase = params.mainBase + columns.slot * params.slotStride;
  let sideBase = params.sideBase + columns.slot * params.slotStride * 4u;
  // As a thread of the tile: eight rows from `first` on (or four of gate and four of up), SHARE columns 8 apart.
  let high = local / 8u; let low = local % 8u;
  let first = (workgroup.x * 8u + high) * OUTPUTS;
  // As a loader: one row of weights, one vector of SHARE columns.
  let row = min(rowOf(first, low), params.nRows - 1u) * params.nGroups;
#repeat c SHARE
  let x$c = params.xOffset + xRow(columns.first + min(high + $cu * 8u, columns.count - 1u)) * params.xStride + low;
#end
#repeat i ROWS
#repeat c SHARE
  var sum$i_$c = 0.0;
#end
#end
  for (var group = 0u; group < params.nGroups; group++) {
    let w = unpack(mainBase, sideBase, row + group);
    workgroupBarrier();
#repeat j VECTORS
    weights[$ju * 8u * ROW_STRIDE + high * ROW_STRIDE + low] = w.q[$j] * w.d + vec4f(w.m);
#end
#repeat c SHARE
    inputs[low * COLUMN_STRIDE + high + $cu * 8u] = x[x$c + group * VECTORS];
#end
    workgroupBarrier();
    for (var j = 0u; j < VECTORS; j++) {
#repeat c SHARE
      let b$c = inputs[j * COLUMN_STRIDE + low + $cu * 8u];
#end
#repeat i ROWS
      let a$i = weights[j * 8u * ROW_STRIDE + high * ROW_STRIDE + $iu];
#repeat c SHARE
      sum$i_$c += dot(a$i, b$c);
#end
#end
    }
  }
#repeat c SHARE
  if (low + $cu * 8u < columns.count) {
    emit(yRow(columns.first + low + $cu * 8u) * params.yStride + params.yOffset, first, array<f32, ROWS>(
#repeat i ROWS
      sum$i_$c,
#end
    ));
  }
#end
}
