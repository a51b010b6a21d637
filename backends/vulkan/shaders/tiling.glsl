// Which part of a product a group of invocations computes: a tile of the result, over a range of the positions. Where
// there are several ranges, their sums go to the workspace, and product_join.glsl joins them. Ranges hold 2^n chunks,
// so that each is a branch of the tree in which chunks are joined.
// Mesa's lavapipe stops all loops of an invocation after 65535 rounds in all: ranges must be shorter there.
struct Tiling {
  TS workspace;      // [range][tile][row][column]
  TS joined;         // of a first join, where a second follows
  uint64_t first, tiles;  // this dispatch computes `tiles` tiles from `first`
  uint height, width;     // of a tile
  uint tiles_down, tiles_right, batches;
  uint is_batch_first;  // tiles are numbered with the batch running fastest, else the rows
  uint ranges, range_length;
  uint rows, columns, depth;
};

// Where sums go, from the first row and column: strides in elements, and how many there are.
struct Target {
  TS at;
  uint64_t row, column;
  uint rows, columns;
};

// What a group of invocations computes.
struct Tile {
  uint row, column, batch;  // the first of the result
  uint begin, end;          // positions
  uint64_t part;            // where its sums go in the workspace
};
