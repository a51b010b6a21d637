// Strided tensors as shaders walk over them (shaders/strided.glsl): dimensions of one element dropped, and neighbours
// merged where one step of the outer is a whole turn of the inner.
#pragma once

#include <cstddef>

#include "lockstep/driver.h"

namespace vulkan {

/// Dimensions that are walked together through several tensors, `most` of them or fewer.
template <int most>
struct JoinedWalk {
  int rank = 0;
  std::int64_t dims[LKS_MAX_RANK] = {1};
  std::int64_t strides[most][LKS_MAX_RANK] = {};

  explicit JoinedWalk(int tensors = most) : tensors_(tensors) {}

  /// The next dimension inwards. `own` are its strides in the tensors.
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
  /// The same as a dimension of its own, whatever it is.
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

}  // namespace vulkan
