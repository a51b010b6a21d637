// A matrix product as the host describes it (kernels/matmul.cpp). Strides are in elements.
struct Params {
  TS a, b, c;
  uint64_t a_row, a_column, b_row, b_column, c_row, c_column;
  Tiling tiling;
};
PARAMS_IN_MEMORY(Params)
// After them follow the dimensions of the batch, aligned to 8 bytes, as in C++.
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer WithBatch {
  Params before;
  uint64_t a[6], b[6], c[6];
  int dims[6];
  int rank;
};

// Where the matrices of a batch element begin.
struct Batch {
  TS a, b, c;
};
Batch batch_of(Params p, uint batch) {
  WithBatch with = WithBatch(push.params);
  Batch at = Batch(p.a, p.b, p.c);
  for (int d = with.rank - 1; d >= 0; --d) {
    const uint extent = uint(with.dims[d]);
    const uint64_t i = batch % extent;
    batch /= extent;
    at.a = at.a + i * with.a[d];
    at.b = at.b + i * with.b[d];
    at.c = at.c + i * with.c[d];
  }
  return at;
}

Target result_of(Params p, Batch batch) {
  return Target(batch.c, p.c_row, p.c_column, p.tiling.rows, p.tiling.columns);
}
T added_to(Params p, Batch batch, uint column) { return T(0); }

// Addresses and distances are in bytes, so that one addition gives the address of an element.
struct Row {
  uint64_t at;
};
struct Column {
  uint64_t at;
};
struct Position {
  uint64_t a, b;
};

uint64_t bytes_of(Params p) { return uint64_t(p.a + 1) - uint64_t(p.a); }
Row row_of(Params p, Batch batch, uint row) { return Row(uint64_t(batch.a + row * p.a_row)); }
Column column_of(Params p, Batch batch, uint column) { return Column(uint64_t(batch.b + column * p.b_column)); }
Position position_of(Params p, uint k) { return Position(k * p.a_column * bytes_of(p), k * p.b_row * bytes_of(p)); }
void advance(Params p, inout Position at) {
  at.a += p.a_column * bytes_of(p);
  at.b += p.b_row * bytes_of(p);
}
T left_element(Params p, Row row, Position at) { return TS(row.at + at.a).v; }
T right_element(Params p, Column column, Position at) { return TS(column.at + at.b).v; }
bool has_term(Params p, Row row, Position at) { return true; }

T chunk_sum(Params p, Batch batch, Tile tile, uint begin, uint end) {
  TS a = batch.a + tile.row * p.a_row;
  TS b = batch.b + tile.column * p.b_column;
  precise T sum = T(0);
  for (uint k = begin; k < end; ++k) {
    precise T product = (a + k * p.a_column).v * (b + k * p.b_row).v;
    sum = sum + product;
  }
  return sum;
}
