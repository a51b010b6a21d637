// Chooses how to split a space into blocks.
#include <algorithm>

#include "backends/cpu/pointwise/executor.h"

namespace cpu {
namespace {

constexpr std::int64_t long_row = 192;  // shorter rows are processed several at a time
constexpr std::int64_t staging_bytes = slot_bytes;

std::int64_t staged_bytes_per_element(const Cut& cut, const Space& s, std::size_t input_count) {
  std::int64_t bytes = 0;
  for (std::size_t t = 0; t < input_count; ++t) bytes += cut.is_staged(t) ? s.sizes[t] : 0;
  return bytes;
}

void classify_rows(const Space& s, std::size_t input_count, Cut& cut, Classes& classes) {
  for (std::size_t t = 0; t < s.tensor_count; ++t) {
    const std::int64_t step = s.column_stride(t);
    if (t >= input_count) {
      if (step != s.sizes[t]) classes.held_outputs |= 1u << (t - input_count);
    } else if (step == 0) {
      classes.set_input(t, s.is_constant(t) ? Access::constant : Access::uniform);
    } else if (step != s.sizes[t]) {
      cut.staged |= std::uint64_t{1} << t;
    }
  }
  // A dimension along which a staged input is contiguous: blocks that extend along it too use whole cache lines.
  for (std::size_t t = 0; t < input_count && cut.row_dim < 0; ++t) {
    for (int d = 0; cut.is_staged(t) && d + 1 < s.rank; ++d) {
      if (s.strides[t][d] == s.sizes[t] && s.dims[d] >= 4) cut.row_dim = d;
    }
  }
}

void classify_flat(const Space& s, std::size_t input_count, Cut& cut, Classes& classes) {
  for (std::size_t t = 0; t < s.tensor_count; ++t) {
    if (t >= input_count) {
      if (!s.is_dense(t)) classes.held_outputs |= 1u << (t - input_count);
    } else if (s.is_constant(t)) {
      classes.set_input(t, Access::constant);
    } else if (!s.is_dense(t)) {
      cut.staged |= std::uint64_t{1} << t;
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

Cut::Kind preferred_kind(const Space& s) {
  return s.rank == 1 || s.columns() >= long_row ? Cut::Kind::rows : Cut::Kind::flat;
}

Cut make_cut(Cut::Kind kind, const Space& s, std::size_t input_count, Classes& classes) {
  Cut cut;
  cut.kind = kind;
  kind == Cut::Kind::rows ? classify_rows(s, input_count, cut, classes) : classify_flat(s, input_count, cut, classes);
  return cut;
}

bool size_blocks(Cut& cut, const Space& s, std::size_t input_count, std::int64_t tile) {
  const std::int64_t per_element = staged_bytes_per_element(cut, s, input_count);
  const std::int64_t most = per_element ? std::min(tile, staging_bytes / per_element) : tile;
  if (cut.kind == Cut::Kind::flat) {
    if (most < s.columns()) return false;
    cut.rows = most / s.columns();
    std::int64_t longest = 1;
    for (std::size_t t = 0; t < input_count; ++t) {
      const std::int64_t period = cut.is_staged(t) ? period_in_rows(s, t) : 0;
      if (period == 0 || period > cut.rows || s.strides[t][0] != 0) continue;
      longest = std::max(longest, period);
      cut.periodic |= std::uint64_t{1} << t;
    }
    cut.rows -= cut.rows % longest;
    cut.columns = s.columns();
    return true;
  }
  if (cut.row_dim >= 0) {
    cut.columns = std::min<std::int64_t>({s.columns(), 128, most});
    const std::int64_t staged = std::max<std::int64_t>(per_element, 1);
    cut.rows = std::clamp<std::int64_t>(staging_bytes / staged / cut.columns, 1, 64);
    if (cut.rows > 16) cut.rows -= cut.rows % 16;
    cut.rows = std::min(cut.rows, s.dims[cut.row_dim]);
    return true;
  }
  const std::int64_t pieces = (s.columns() + most - 1) / most;
  cut.columns = (s.columns() + pieces - 1) / pieces;
  if (pieces > 1) cut.columns = std::min(most, (cut.columns + 63) / 64 * 64);
  return true;
}

}  // namespace cpu
