// A column is a (token, rank) pair and meets the expert routed to. COLUMNS is 1: nothing is shared.
@group(0) @binding(5) var<storage, read> slots: array<u32>;   // [T, nExpertsUsed]
fn columnsOf(tile: u32) -> Columns {
  let slot = slots[tile] - params.firstSlot;
  return Columns(tile, select(0u, 1u, slot < params.nSlots), slot);
}
fn xRow(column: u32) -> u32 { return column / params.pairsPerX; }
fn yRow(column: u32) -> u32 { return column; }
