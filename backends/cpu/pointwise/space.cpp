#include "backends/cpu/pointwise/space.h"

namespace cpu {
namespace {

// Drops dimensions of extent 1, and merges adjacent dimensions if the strides of every tensor allow it.
void collapse(Space& s) {
  int kept = 0;
  for (int d = 0; d < s.rank; ++d) {
    if (s.dims[d] == 1) continue;
    bool merges = kept > 0;
    for (std::size_t t = 0; merges && t < s.tensor_count; ++t) {
      merges = s.strides[t][kept - 1] == s.strides[t][d] * s.dims[d];
    }
    if (merges) {
      s.dims[kept - 1] *= s.dims[d];
    } else {
      s.dims[kept++] = s.dims[d];
    }
    for (std::size_t t = 0; t < s.tensor_count; ++t) s.strides[t][kept - 1] = s.strides[t][d];
  }
  if (kept == 0) {
    s.dims[0] = 1;
    for (std::size_t t = 0; t < s.tensor_count; ++t) s.strides[t][0] = s.sizes[t];
    kept = 1;
  }
  s.rank = kept;
}

}  // namespace

std::int64_t Space::count() const {
  std::int64_t n = 1;
  for (int d = 0; d < rank; ++d) n *= dims[d];
  return n;
}

bool Space::prefetches(std::size_t t) const {
  constexpr std::int64_t cached = 1 << 20;
  return column_stride(t) == sizes[t] && count() * sizes[t] > cached;
}

bool Space::is_constant(std::size_t t) const {
  for (int d = 0; d < rank; ++d) {
    if (strides[t][d] != 0) return false;
  }
  return true;
}

bool Space::is_dense(std::size_t t) const {
  std::int64_t expected = sizes[t];
  for (int d = rank - 1; d >= 0; --d) {
    if (strides[t][d] != expected) return false;
    expected *= dims[d];
  }
  return true;
}

Space make_space(const host::TensorView* tensors, std::size_t tensor_count, const host::TensorView& shape) {
  Space s;
  s.rank = shape.rank;
  s.tensor_count = tensor_count;
  for (int d = 0; d < shape.rank; ++d) s.dims[d] = shape.dims[d];
  for (std::size_t t = 0; t < tensor_count; ++t) {
    const host::TensorView& tensor = tensors[t];
    s.data[t] = tensor.data;
    s.sizes[t] = static_cast<std::int64_t>(host::size_of(tensor.dtype));
    const int missing = shape.rank - tensor.rank;
    for (int d = 0; d < shape.rank; ++d) {
      const bool broadcast = d < missing || (tensor.dims[d - missing] == 1 && shape.dims[d] != 1);
      s.strides[t][d] = broadcast ? 0 : tensor.strides[d - missing] * s.sizes[t];
    }
  }
  collapse(s);
  return s;
}

}  // namespace cpu
