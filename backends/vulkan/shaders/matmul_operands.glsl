// A matrix product as the host describes it (kernels/matmul.cpp): strides count elements.
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Params {
  TS a, b, c;
  uint64_t a_row, a_column, b_row, b_column, c_row, c_column;
  uint64_t a_batch[6], b_batch[6], c_batch[6];
  int batch_dims[6];
  int batch_rank;
  Tiling tiling;
};

struct Matrices {
  TS a, b, c;
};

// Where the matrices of a batch element begin.
Matrices matrices_of(Params p, uint batch) {
  Matrices at = Matrices(p.a, p.b, p.c);
  for (int d = p.batch_rank - 1; d >= 0; --d) {
    const uint extent = uint(p.batch_dims[d]);
    const uint64_t i = batch % extent;
    batch /= extent;
    at.a = at.a + i * p.a_batch[d];
    at.b = at.b + i * p.b_batch[d];
    at.c = at.c + i * p.c_batch[d];
  }
  return at;
}

void put_result(Params p, uint batch, uint row, uint column, T sum) {
  (matrices_of(p, batch).c + (row * p.c_row + column * p.c_column)).v = sum;
}

struct Row {
  TS at;
};
struct Column {
  TS at;
};
#define LeftPosition uint64_t
#define RightPosition uint64_t

#include "product_tile.glsl"

Row row_of(Params p, Tile tile, uint row) { return Row(matrices_of(p, tile.batch).a + row * p.a_row); }
Column column_of(Params p, Tile tile, uint column) { return Column(matrices_of(p, tile.batch).b + column * p.b_column); }
uint64_t left_position(Params p, uint k) { return k * p.a_column; }
uint64_t right_position(Params p, uint k) { return k * p.b_row; }
T left_element(Params p, Row row, uint64_t at) { return (row.at + at).v; }
T right_element(Params p, Column column, uint64_t at) { return (column.at + at).v; }
bool has_term(Params p, Row row, uint64_t at) { return true; }

T chunk_sum(Params p, Tile tile, uint begin, uint end) {
  TS a = row_of(p, tile, tile.row).at;
  TS b = column_of(p, tile, tile.column).at;
  precise T sum = T(0);
  for (uint k = begin; k < end; ++k) {
    precise T product = (a + k * p.a_column).v * (b + k * p.b_row).v;
    sum = sum + product;
  }
  return sum;
}
