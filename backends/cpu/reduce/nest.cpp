#include "backends/cpu/reduce/nest.h"

#include <algorithm>
#include <cstdlib>

namespace cpu {

void Nest::insert(std::int64_t extent, std::int64_t in_step, std::int64_t out_step) {
  if (extent == 1) return;
  int at = rank++;
  for (; at > 0 && std::abs(in[at - 1]) < std::abs(in_step); --at) {
    dims[at] = dims[at - 1];
    in[at] = in[at - 1];
    out[at] = out[at - 1];
  }
  dims[at] = extent;
  in[at] = in_step;
  out[at] = out_step;
}

void Nest::append(std::int64_t extent, std::int64_t in_step, std::int64_t out_step) {
  if (extent == 1) return;
  dims[rank] = extent;
  in[rank] = in_step;
  out[rank] = out_step;
  ++rank;
}

void Nest::merge() {
  int kept = 0;
  for (int d = 0; d < rank; ++d) {
    const bool merges = kept > 0 && in[kept - 1] == in[d] * dims[d] && out[kept - 1] == out[d] * dims[d];
    kept = merges ? kept : kept + 1;
    dims[kept - 1] = merges ? dims[kept - 1] * dims[d] : dims[d];
    in[kept - 1] = in[d];
    out[kept - 1] = out[d];
  }
  rank = kept;
}

Nest::Inner Nest::take_inner() {
  if (rank == 0) return {};
  --rank;
  return {dims[rank], in[rank], out[rank]};
}

ReductionNests::ReductionNests(const host::TensorView& in, const host::TensorView& out, const lks_int_list& axes,
                               bool keep, Order order) {
  int o = 0;
  for (int d = 0; d < in.rank; ++d) {
    if (std::find(axes.values, axes.values + axes.count, d) != axes.values + axes.count) {
      order == Order::logical ? reduced.append(in.dims[d], in.strides[d], 0)
                              : reduced.insert(in.dims[d], in.strides[d], 0);
      o += keep;
    } else {
      kept.insert(in.dims[d], in.strides[d], out.strides[o++]);
    }
  }
  kept.merge();
  reduced.merge();
}

bool ReductionNests::along_rows() const {
  if (kept.rank == 0 || reduced.rank == 0) return kept.rank == 0;
  // Runs too short to fill the lanes are faster the other way, many outputs at a time.
  constexpr std::int64_t few = 24;
  if (reduced.dims[reduced.rank - 1] < few && kept.dims[kept.rank - 1] >= few) return false;
  return std::abs(reduced.in[reduced.rank - 1]) < std::abs(kept.in[kept.rank - 1]);
}

}  // namespace cpu
