// A bound tensor as kernels see it: pointer, extents and strides.
#pragma once

#include <cstdint>

#include "backends/common/dense.h"
#include "lockstep/driver.h"

/// A buffer is a block of host memory, because device memory is host memory here.
struct lks_buffer {
  void* data;
  std::uint64_t bytes;
  bool imported = false;  // the host's memory: buffer_free leaves it alone
};

namespace host {

inline std::size_t size_of(lks_dtype t) { return LKS_DTYPE_BITS(t) / 8; }

struct TensorView {
  char* data = nullptr;  // of the first element
  const std::int64_t* dims = nullptr;
  const std::int64_t* strides = nullptr;  // in elements
  int rank = 0;
  lks_dtype dtype = 0;

  TensorView() = default;
  TensorView(const lks_binding& b, int tensor_rank, lks_dtype t)
      : data(static_cast<char*>(b.buffer->data) + b.offset * static_cast<std::int64_t>(host::size_of(t))),
        dims(b.dims),
        strides(b.strides),
        rank(tensor_rank),
        dtype(t) {}

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
  std::int64_t count() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dims[i];
    return n;
  }
  bool dense() const { return common::is_dense(rank, dims, strides); }
};

}  // namespace host
