// The kernel table, and the functions that make its kernels: those of kernels.def.
#pragma once

#include <memory>
#include <span>

#include "backends/host/kernel.h"
#include "lockstep/driver_ops.h"

namespace reference {

using common::KernelRequest;
using Out = std::unique_ptr<lks_kernel>*;

#define KERNEL(op, variant, make) lks_status make(const KernelRequest& request, Out out);
#include "backends/reference/kernels/kernels.def"
#undef KERNEL

std::span<const common::KernelRow> kernels();

/// The most tensors of a pointwise program.
constexpr int max_tensors = 16;

/// Iterates over the elements of a shape in row-major order and tracks the element offset in up to `max_tensors`
/// strided tensors.
class Walk {
 public:
  Walk(int rank, const std::int64_t* dims) : rank_(rank), dims_(dims) {
    for (int d = 0; d < rank; ++d) empty_ = empty_ || dims[d] == 0;
  }
  /// `strides` has as many entries as the walk has dimensions. Returns the index of the tensor within the walk.
  int add(const std::int64_t* strides) {
    strides_[count_] = strides;
    return count_++;
  }
  bool done() const { return empty_ || finished_; }
  std::int64_t offset(int tensor) const { return offsets_[tensor]; }
  std::int64_t index(int d) const { return index_[d]; }
  void next() {
    for (int d = rank_ - 1; d >= 0; --d) {
      for (int t = 0; t < count_; ++t) offsets_[t] += strides_[t][d];
      if (++index_[d] < dims_[d]) return;
      for (int t = 0; t < count_; ++t) offsets_[t] -= strides_[t][d] * dims_[d];
      index_[d] = 0;
    }
    finished_ = true;
  }

 private:
  int rank_, count_ = 0;
  const std::int64_t* dims_;
  const std::int64_t* strides_[max_tensors] = {};
  std::int64_t offsets_[max_tensors] = {};
  std::int64_t index_[LKS_MAX_RANK] = {};
  bool empty_ = false, finished_ = false;
};

/// The accumulator type for sums of T: double for floats; for integers an unsigned type, so that they wrap.
template <class T>
struct Accumulator {
  using type = T;
};
template <>
struct Accumulator<float> {
  using type = double;
};
template <>
struct Accumulator<std::int32_t> {
  using type = std::uint32_t;
};
template <>
struct Accumulator<std::int64_t> {
  using type = std::uint64_t;
};

/// Calls f with a zero of the C++ type that belongs to a numeric dtype.
template <class F>
auto with_numeric(lks_dtype t, F&& f) {
  switch (t) {
    case LKS_F64: return f(double{});
    case LKS_I32: return f(std::int32_t{});
    case LKS_I64: return f(std::int64_t{});
    default: return f(float{});
  }
}

}  // namespace reference
