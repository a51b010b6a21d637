#include "backends/cpu/copy/move_block.h"

#include <cstring>

#include "backends/cpu/copy/transpose_tile.h"
#include "backends/cpu/element.h"

namespace cpu {
namespace {

// Loads and stores of elements that may be unaligned.
template <class T>
T load(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}
template <class T>
void store(char* p, T value) {
  std::memcpy(p, &value, sizeof value);
}

// Moves rows that are too short for a call each as whole vectors. A vector writes past the end of its row; the next
// rows overwrite these bytes. The last few rows, after which there are none, are left to the caller. Returns how many
// rows were moved.
template <class Load>
std::int64_t move_short_rows(const Block& to, std::int64_t rows, std::int64_t row_bytes, std::int64_t last_safe,
                             Load&& load_row) {
  constexpr std::int64_t width = 64;
  // If there are gaps between rows, they must not be written.
  if (row_bytes > width || to.row_stride != row_bytes) return 0;
  const std::int64_t behind = (width - row_bytes + row_bytes - 1) / row_bytes;  // rows that a vector may extend into
  const std::int64_t safe = rows - behind < last_safe ? rows - behind : last_safe;
  for (std::int64_t r = 0; r < safe; ++r) load_row(r, to.data + r * to.row_stride);
  return safe > 0 ? safe : 0;
}

struct Vector {
  char bytes[64];
};

template <class T>
void repeat_in_rows(const Block& to, const Block& from, std::int64_t rows, std::int64_t columns) {
  constexpr auto size = static_cast<std::int64_t>(sizeof(T));
  const auto repeat = [&](std::int64_t r, char* row) {
    const T value = load<T>(from.data + r * from.row_stride);
    T values[64 / sizeof(T)];
    for (T& v : values) v = value;
    std::memcpy(row, values, 64);
  };
  const std::int64_t done = move_short_rows(to, rows, columns * size, rows, repeat);
  for (std::int64_t r = done; r < rows; ++r) {
    const T value = load<T>(from.data + r * from.row_stride);
    char* row = to.data + r * to.row_stride;
#pragma GCC ivdep
    for (std::int64_t c = 0; c < columns; ++c) store(row + c * size, value);
  }
}

template <class T>
void gather_rows(const Block& to, const Block& from, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const char* source = from.data + r * from.row_stride;
    char* row = to.data + r * to.row_stride;
    for (std::int64_t c = 0; c < columns; ++c) {
      store(row + c * to.column_stride, load<T>(source + c * from.column_stride));
    }
  }
}

// For elements that are contiguous within a column of `from` and within a row of `to`.
template <class T>
void transpose(const Block& to, const Block& from, std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t side = square_side(sizeof(T));
  constexpr auto size = static_cast<std::int64_t>(sizeof(T));
  const std::int64_t whole_rows = side ? rows - rows % (side ? side : 1) : 0;
  const std::int64_t whole_columns = side ? columns - columns % (side ? side : 1) : 0;
  if constexpr (side > 0) {
    for (std::int64_t r = 0; r < whole_rows; r += side) {
      for (std::int64_t c = 0; c < whole_columns; c += side) {
        transpose_square(reinterpret_cast<T*>(to.data + r * to.row_stride + c * size), to.row_stride / size,
                         reinterpret_cast<const T*>(from.data + r * size + c * from.column_stride),
                         from.column_stride / size);
      }
    }
  }
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t r = c < whole_columns ? whole_rows : 0; r < rows; ++r) {
      store(to.data + r * to.row_stride + c * size, load<T>(from.data + r * size + c * from.column_stride));
    }
  }
}

void copy_rows(const Block& to, const Block& from, std::int64_t rows, std::int64_t row_bytes) {
  // A vector that is read at row r extends into the following rows, so enough of them must exist.
  const std::int64_t reach = from.row_stride > 0 ? (64 - row_bytes + from.row_stride - 1) / from.row_stride : rows;
  const std::int64_t done = move_short_rows(to, rows, row_bytes, rows - reach, [&](std::int64_t r, char* row) {
    store(row, load<Vector>(from.data + r * from.row_stride));
  });
  for (std::int64_t r = done; r < rows; ++r) {
    std::memcpy(to.data + r * to.row_stride, from.data + r * from.row_stride, static_cast<std::size_t>(row_bytes));
  }
}

template <class T>
void move(const Block& to, const Block& from, std::int64_t rows, std::int64_t columns) {
  constexpr auto size = static_cast<std::int64_t>(sizeof(T));
  const bool to_side_by_side = to.column_stride == size;
  if (to_side_by_side && from.column_stride == 0) return repeat_in_rows<T>(to, from, rows, columns);
  if (to_side_by_side && from.row_stride == size) return transpose<T>(to, from, rows, columns);
  if (from.column_stride == size && to.row_stride == size) {
    // The same with rows and columns exchanged.
    return transpose<T>({to.data, to.column_stride, to.row_stride}, {from.data, from.column_stride, from.row_stride},
                        columns, rows);
  }
  gather_rows<T>(to, from, rows, columns);
}

}  // namespace

void move_block(const Block& to, const Block& from, std::int64_t rows, std::int64_t columns, std::int64_t size) {
  if (to.column_stride == size && from.column_stride == size) {
    return copy_rows(to, from, rows, columns * size);
  }
  with_width(size, [&](auto zero) { move<decltype(zero)>(to, from, rows, columns); });
}

}  // namespace cpu
