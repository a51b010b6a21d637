// Chooses how to split a space into blocks.
#include <algorithm>

#include "backends/cpu/pointwise/executor.h"

namespace cpu {
namespace {

constexpr std::int64_t long_row = 192;  // shorter rows are processed several at a time
constexpr std::int64_t staging_bytes = slot_bytes;

std::int64_t staged_bytes_per_element(const Blocking& blocking, const Space& s, std::size_t input_count) {
  std::int64_t bytes = 0;
  for (std::size_t t = 0; t < input_count; ++t) bytes += blocking.is_staged(t) ? s.sizes[t] : 0;
  return bytes;
}

void classify_rows(const Space& s, std::size_t input_count, Blocking& blocking, Classes& classes) {
  for (std::size_t t = 0; t < s.tensor_count; ++t) {
    const std::int64_t step = s.column_stride(t);
    if (t >= input_count) {
      if (step != s.sizes[t]) classes.held_outputs |= 1u << (t - input_count);
    } else if (step == 0) {
      classes.set_input(t, s.is_constant(t) ? Access::constant : Access::uniform);
    } else if (step != s.sizes[t]) {
      blocking.staged |= std::uint64_t{1} << t;
    }
  }
  // A dimension along which a staged input is contiguous: blocks that extend along it too use whole cache lines.
  for (std::size_t t = 0; t < input_count && blocking.row_dim < 0; ++t) {
    for (int d = 0; blocking.is_staged(t) && d + 1 < s.rank; ++d) {
      if (s.strides[t][d] == s.sizes[t] && s.dims[d] >= 4) blocking.row_dim = d;
    }
  }
}

void classify_flat(const Space& s, std::size_t input_count, Blocking& blocking, Classes& classes) {
  for (std::size_t t = 0; t < s.tensor_count; ++t) {
    if (t >= input_count) {
      if (!s.is_dense(t)) classes.held_outputs |= 1u << (t - input_count);
    } else if (s.is_constant(t)) {
      classes.set_input(t, Access::constant);
    } else if (!s.is_dense(t)) {
      blocking.staged |= std::uint64_t{1} << t;
    }
  }
}

// The number of rows after which a tensor's elements repeat.
std::int64_t period_in_rows(const Space& s, std::size_t t) {
  int d = 0;
  while (d < s.rank && s.strides[t][d] == 0) ++d;
  std::int64_t rows = 1;
  for (; d + 1 < s.rank; ++d) rows *= s.dims[d];
  return rows;
}

}  // namespace

Blocking::Kind preferred_kind(const Space& s) {
  return s.rank == 1 || s.columns() >= long_row ? Blocking::Kind::rows : Blocking::Kind::flat;
}

Blocking make_blocking(Blocking::Kind kind, const Space& s, std::size_t input_count, Classes& classes) {
  Blocking blocking;
  blocking.kind = kind;
  kind == Blocking::Kind::rows ? classify_rows(s, input_count, blocking, classes)
                               : classify_flat(s, input_count, blocking, classes);
  return blocking;
}

bool size_blocks(Blocking& blocking, const Space& s, std::size_t input_count, std::int64_t tile) {
  const std::int64_t per_element = staged_bytes_per_element(blocking, s, input_count);
  const std::int64_t most = per_element ? std::min(tile, staging_bytes / per_element) : tile;
  if (blocking.kind == Blocking::Kind::flat) {
    if (most < s.columns()) return false;
    blocking.rows = most / s.columns();
    std::int64_t longest = 1;
    for (std::size_t t = 0; t < input_count; ++t) {
      const std::int64_t period = blocking.is_staged(t) ? period_in_rows(s, t) : 0;
      if (period == 0 || period > blocking.rows || s.strides[t][0] != 0) continue;
      longest = std::max(longest, period);
      blocking.periodic |= std::uint64_t{1} << t;
    }
    blocking.rows -= blocking.rows % longest;
    blocking.columns = s.columns();
    return true;
  }
  if (blocking.row_dim >= 0) {
    blocking.columns = std::min<std::int64_t>({s.columns(), 128, most});
    const std::int64_t staged = std::max<std::int64_t>(per_element, 1);
    blocking.rows = std::clamp<std::int64_t>(staging_bytes / staged / blocking.columns, 1, 64);
    if (blocking.rows > 16) blocking.rows -= blocking.rows % 16;
    blocking.rows = std::min(blocking.rows, s.dims[blocking.row_dim]);
    return true;
  }
  const std::int64_t pieces = (s.columns() + most - 1) / most;
  blocking.columns = (s.columns() + pieces - 1) / pieces;
  if (pieces > 1) blocking.columns = std::min(most, (blocking.columns + 63) / 64 * 64);
  return true;
}

}  // namespace cpu
