// A matrix product as the host describes it (kernels/matmul.cpp): strides count elements.
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Params {
  TS a, b, c;
  uint64_t a_row, a_column, b_row, b_column, c_row, c_column;
  uint64_t a_batch[6], b_batch[6], c_batch[6];
  int batch_dims[6];
  int batch_rank;
  int rows, columns, depth;
  uint64_t count;  // elements of the result
  Tiling tiling;
};

struct Operands {
  TS a, b, c;
};

// Where the matrices of a batch element begin.
Operands operands_of(Params p, uint batch) {
  Operands at = Operands(p.a, p.b, p.c);
  for (int d = p.batch_rank - 1; d >= 0; --d) {
    const uint extent = uint(p.batch_dims[d]);
    const uint64_t i = uint64_t(batch % extent);
    batch /= extent;
    at.a = at.a + i * p.a_batch[d];
    at.b = at.b + i * p.b_batch[d];
    at.c = at.c + i * p.c_batch[d];
  }
  return at;
}

void put_result(Params p, uint batch, uint row, uint column, T sum) {
  (operands_of(p, batch).c + (row * p.c_row + column * p.c_column)).v = sum;
}
