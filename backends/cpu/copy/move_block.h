// Moves a rectangle of elements between two layouts.
#pragma once

#include <cstdint>

namespace cpu {

/// A rectangle: where it starts, and the distances between rows and between columns, in bytes.
struct Block {
  char* data;
  std::int64_t row_stride, column_stride;
};

/// Copies rows × columns elements of `size` bytes (1, 2, 4 or 8). The rectangles must not overlap; elements may be
/// unaligned.
void move_block(const Block& to, const Block& from, std::int64_t rows, std::int64_t columns, std::int64_t size);

}  // namespace cpu
