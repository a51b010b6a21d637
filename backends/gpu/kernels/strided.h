// The dimensions of strided tensors as kernels loop over them: dimensions of extent 1 are dropped, and adjacent
// dimensions are merged if the outer stride is the inner extent times the inner stride.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lockstep/driver.h"

namespace gpu {

/// The merged dimensions of a loop over at most `most` tensors.
template <int most>
struct MergedDims {
  int rank = 0;
  std::int64_t dims[LKS_MAX_RANK] = {1};
  std::int64_t strides[most][LKS_MAX_RANK] = {};

  explicit MergedDims(int tensors = most) : tensors_(tensors) {}

  /// Appends the next inner dimension. `own` are its strides in the tensors.
  void append(std::int64_t extent, const std::int64_t* own) {
    if (extent == 1) return;
    if (rank > 0 && continues(extent, own)) extent *= dims[--rank];
    append_apart(extent, own);
  }
  template <std::size_t n>
  void append(std::int64_t extent, const std::int64_t (&own)[n]) {
    static_assert(n == most);
    append(extent, &own[0]);
  }
  /// The same, but never drops or merges the dimension.
  void append_apart(std::int64_t extent, const std::int64_t* own) {
    dims[rank] = extent;
    for (int t = 0; t < tensors_; ++t) strides[t][rank] = own[t];
    ++rank;
  }

 private:
  bool continues(std::int64_t extent, const std::int64_t* own) const {
    for (int t = 0; t < tensors_; ++t) {
      if (strides[t][rank - 1] != extent * own[t]) return false;
    }
    return true;
  }

  int tensors_;
};

}  // namespace gpu
