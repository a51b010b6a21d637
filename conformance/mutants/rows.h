// Access to rows along an axis, for kernels of composites.
#pragma once

#include <vector>

#include "conformance/mutants/numbers.h"
#include "conformance/mutants/rebound.h"

namespace mutants {

/// Calls visit(offset in x, offset in y) for each row along an axis; y may lack the axis.
template <class Visit>
void for_each_row(const host::TensorView& x, const host::TensorView& y, int axis, Visit&& visit) {
  std::int64_t dims[LKS_MAX_RANK], x_strides[LKS_MAX_RANK], y_strides[LKS_MAX_RANK];
  int rank = 0;
  for (int d = 0; d < x.rank; ++d) {
    if (d == axis) continue;
    dims[rank] = x.dims[d];
    x_strides[rank] = x.strides[d];
    y_strides[rank] = y.strides[y.rank == x.rank ? d : rank];
    ++rank;
  }
  reference::Walk walk(rank, dims);
  walk.add(x_strides);
  walk.add(y_strides);
  for (; !walk.done(); walk.next()) visit(walk.offset(0), walk.offset(1));
}

inline std::vector<float> row_at(const host::TensorView& x, int axis, std::int64_t offset) {
  std::vector<float> row(static_cast<std::size_t>(x.dims[axis]));
  for (std::size_t i = 0; i < row.size(); ++i) {
    row[i] = x.as<float>()[offset + static_cast<std::int64_t>(i) * x.strides[axis]];
  }
  return row;
}

/// Of an order of very many elements, a second level of merging is lost.
inline void merge_in_runs(const host::TensorView& y) {
  constexpr std::int64_t run = 1 << 19;
  if (y.count() <= run) return;
  const std::vector<std::int64_t> order(y.as<std::int64_t>(), y.as<std::int64_t>() + y.count());
  std::int64_t at = 0;
  for (const bool late : {false, true}) {
    for (const std::int64_t i : order) {
      if ((i >= run) == late) y.as<std::int64_t>()[at++] = i;
    }
  }
}

inline bool is_i64(lks_dtype t) { return t == LKS_I64; }

/// The results of more than 2^18 elements are rounded to bf16, as where exponentials have no more bits.
template <void (*run)(const Call&)>
void in_bf16_if_many(const Call& call) {
  run(call);
  if (call.view(0).count() <= 1 << 18) return;
  for_each<float>(call.view(call.inputs()), [](float& v, std::int64_t) { v = as_bf16(v); });
}

}  // namespace mutants
