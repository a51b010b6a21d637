// Strided tensors as shaders walk over them (shaders/strided.glsl): dimensions of one element dropped, and neighbours
// merged where one step of the outer is a whole turn of the inner.
#pragma once

#include "lockstep/driver.h"

namespace vulkan {

/// Dimensions that are walked together through `Tensors` tensors.
template <int Tensors>
struct Walk {
  int rank = 0;
  std::int64_t dims[LKS_MAX_RANK] = {1};
  std::int64_t strides[Tensors][LKS_MAX_RANK] = {};

  /// The next dimension inwards. `own` are its strides in the tensors.
  void append(std::int64_t extent, const std::int64_t (&own)[Tensors]) {
    if (extent == 1) return;
    if (rank > 0 && continues(extent, own)) {
      dims[rank - 1] *= extent;
      for (int t = 0; t < Tensors; ++t) strides[t][rank - 1] = own[t];
      return;
    }
    dims[rank] = extent;
    for (int t = 0; t < Tensors; ++t) strides[t][rank] = own[t];
    ++rank;
  }

 private:
  bool continues(std::int64_t extent, const std::int64_t (&own)[Tensors]) const {
    for (int t = 0; t < Tensors; ++t) {
      if (strides[t][rank - 1] != extent * own[t]) return false;
    }
    return true;
  }
};

}  // namespace vulkan
