// Pairs sorted by expert; a tile takes up to COLUMNS pairs of one expert. The tiles of expert e begin at
// starts[e] / COLUMNS + e: never two experts in one tile, at most nExperts surplus tiles, and no scan to find them.
@group(0) @binding(5) var<storage, read> slots: array<u32>;    // [T, nExpertsUsed]
@group(0) @binding(6) var<storage, read> starts: array<u32>;   // [nExperts + 1]
@group(0) @binding(7) var<storage, read> sorted: array<u32>;   // [T · nExpertsUsed] pairs, by expert
fn columnsOf(tile: u32) -> Columns {
  var low = 0u; var high = params.nExperts;
  while (high - low > 1u) {
    let middle = (low + high) / 2u;
    if (starts[middle] / COLUMNS + middle <= tile) { low = middle; } else { high = middle; }
  }
  let first = starts[low] + (tile - (starts[low] / COLUMNS + low)) * COLUMNS;
  let end = starts[low + 1u];
  if (first >= end) { return Columns(0u, 0u, 0u); }
  let slot = slots[sorted[first]] - params.firstSlot;
  return Columns(first, select(0u, min(COLUMNS, end - first), slot < params.nSlots), slot);
}
fn xRow(column: u32) -> u32 { return sorted[column] / params.pairsPerX; }
fn yRow(column: u32) -> u32 { return sorted[column]; }
