// y[T, N] = x[T, K] · Wᵀ.  The lanes of a set (a subgroup, or a workgroup where there are none) share ROWS rows: they
// stride over the groups of 32, so that loads coalesce, and add up at the end. Any number of lanes works.
#import "parts/matmulHead.wgsl"
#import <lanes>

@compute @workgroup_size(LANES_WORKGROUP)
fn matmulCooperative(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  if (faulted(params.stage)) { return; }
  let columns = columnsOf(workgroup.y);
  if (columns.count == 0u) { return; }
  let mainBase = params.mainBase + columns.slot * params.slotStride;
  let sideBase = params.sideBase + columns.slot * params.slotStride * 4u;
  // Asked while every lane is here: inside the loop some may have left.
  let lanes = nLanes(); let sets = nSets(lanes); let lane = laneIndex(local);
#repeat c COLUMNS
  let x$c = params.xOffset + xRow(columns.first + min($cu, columns.count - 1u)) * params.xStride;
#end
  let step = workgroups.x * sets * OUTPUTS;
  for (var first = (workgroup.x * sets + laneSet(local, lanes)) * OUTPUTS; first < params.nOut; first += step) {
#repeat i ROWS
    let row$i = min(rowOf(first, $iu), params.nRows - 1u) * params.nGroups;
#repeat c COLUMNS
    var sum$i_$c = 0.0;
#end
#end
    for (var group = lane; group < params.nGroups; group += lanes) {
#import "parts/matmulGroup.wgsl"
    }
#repeat c COLUMNS
    let all$c = array<f32, ROWS>(
#repeat i ROWS
      laneSum(sum$i_$c, local),
#end
    );
    if (lane == 0u && $cu < columns.count) {
      emit(yRow(columns.first + $cu) * params.yStride + params.yOffset, first, all$c);
    }
#end
  }
}
