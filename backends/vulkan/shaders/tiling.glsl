// Which part of a product a group of invocations computes: a tile of the result, over a range of the positions. If
// there are several ranges, their sums go to the workspace, and product_join.glsl joins them. A range has 2^n chunks,
// so that it is a subtree of the tree in which chunks are joined. Mesa's lavapipe ends the loops of an invocation after
// 65,535 iterations in all, so ranges must be shorter there.
struct Tiling {
  TS workspace;      // [range][tile][row][column]
  TS joined;         // the result of a join that is not the last
  uint64_t first, tiles;  // this dispatch computes `tiles` tiles from `first`
  uint height, width;     // of a tile
  uint tiles_down, tiles_right, batches;
  uint is_batch_first;  // 1: the batch index of tiles varies fastest; 0: the row
  uint ranges, range_length;
  uint rows, columns, depth;
};

// Where sums are stored: the address of the first element, strides in elements, and the number of rows and columns.
struct Target {
  TS at;
  uint64_t row, column;
  uint rows, columns;
};

// What a group of invocations computes.
struct Tile {
  uint row, column, batch;  // the first row and column, and the batch index
  uint begin, end;          // positions
  uint64_t part;            // the offset of its sums in the workspace
};
