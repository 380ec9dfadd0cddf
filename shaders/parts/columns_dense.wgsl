// Every token meets the same matrix.
fn columnsOf(tile: u32) -> Columns {
  let first = tile * COLUMNS;
  return Columns(first, min(COLUMNS, params.nColumns - first), 0u);
}
fn xRow(column: u32) -> u32 { return column; }
fn yRow(column: u32) -> u32 { return column; }
