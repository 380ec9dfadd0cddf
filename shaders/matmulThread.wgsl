// y[T, N] = x[T, K] · Wᵀ.  One invocation owns ROWS rows and COLUMNS tokens, loads straight from storage and meets no
// barrier: the form an adapter made of software runs fastest. Its loads do not coalesce, so no GPU is given it.
#import "parts/matmulHead.wgsl"

const WORKGROUP_SIZE = 8u;

@compute @workgroup_size(WORKGROUP_SIZE)
fn matmulThread(@builtin(global_invocation_id) id: vec3u) {
  if (faulted(params.stage)) { return; }
  let columns = columnsOf(id.y);
  let first = id.x * OUTPUTS;
  if (columns.count == 0u || first >= params.nOut) { return; }
  let mainBase = params.mainBase + columns.slot * params.slotStride;
  let sideBase = params.sideBase + columns.slot * params.slotStride * 4u;
#repeat c COLUMNS
  let x$c = params.xOffset + xRow(columns.first + min($cu, columns.count - 1u)) * params.xStride;
#end
#repeat i ROWS
  let row$i = min(rowOf(first, $iu), params.nRows - 1u) * params.nGroups;
#repeat c COLUMNS
  var sum$i_$c = 0.0;
#end
#end
  for (var group = 0u; group < params.nGroups; group++) {
#import "parts/matmulGroup.wgsl"
  }
#repeat c COLUMNS
  if ($cu < columns.count) {
    emit(yRow(columns.first + $cu) * params.yStride + params.yOffset, first, array<f32, ROWS>(
#repeat i ROWS
      sum$i_$c,
#end
    ));
  }
#end
}
