// Where a position's key and value lie. The cache is blocks of 32 positions; in a block each kv head has its keys
// [KEY_VECTORS][32], its values [32][VALUE_VECTORS] and its scales [SCALE_WORDS][32]: lanes that own a key each read
// neighbours, and so do lanes that own a value's dimension. A word holds four values, whatever the format's bytes.
const KEY_VECTORS = 8u; // tunable
const VALUE_VECTORS = 8u; // tunable
const KV_BLOCK = 32u;
@group(0) @binding(3) var<storage, read> places: array<vec2u>;      // [T] position, row of blockTable
@group(0) @binding(4) var<storage, read> blockTable: array<u32>;    // [rows, tableBlocks] block of the pool
#import <kv>

// The first word of a head's part of the block with `position`: the first `fixedBlocks` stay, behind them is a ring.
fn headPart(tableRow: u32, position: u32, kvHead: u32) -> u32 {
  let block = position / KV_BLOCK;
  let ring = params.fixedBlocks + (block - params.fixedBlocks) % (params.tableBlocks - params.fixedBlocks);
  let entry = tableRow * params.tableBlocks + select(ring, block, block < params.fixedBlocks);
  return (blockTable[entry] * params.nKvHeads + kvHead) * KV_BLOCK * (KEY_VECTORS + VALUE_VECTORS + SCALE_WORDS);
}
fn keyWord(part: u32, position: u32, vector: u32) -> u32 { return part + vector * KV_BLOCK + position % KV_BLOCK; }
fn valueWord(part: u32, position: u32, vector: u32) -> u32 {
  return part + KV_BLOCK * KEY_VECTORS + position % KV_BLOCK * VALUE_VECTORS + vector;
}
// Of the group of eight vectors that `vector` is in.
fn scaleWord(part: u32, position: u32, vector: u32) -> u32 {
  return part + KV_BLOCK * (KEY_VECTORS + VALUE_VECTORS + vector / 8u) + position % KV_BLOCK;
}
