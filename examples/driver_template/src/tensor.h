// A tensor of a launch, and an iterator over its elements.
#pragma once

#include <lockstep/driver.h>

#include <cstdint>

inline std::int64_t bytes_of(lks_dtype t) { return LKS_DTYPE_BITS(t) / 8; }
inline bool is_float(lks_dtype t) {
  return LKS_DTYPE_CLASS(t) == LKS_CLASS_FLOAT || LKS_DTYPE_CLASS(t) == LKS_CLASS_BFLOAT;
}
inline bool is_signed(lks_dtype t) { return LKS_DTYPE_CLASS(t) == LKS_CLASS_INT; }

struct Tensor {
  char* data;  // of the first element
  const std::int64_t* dims;
  const std::int64_t* strides;  // in elements; may be 0 or negative
  int rank;
  lks_dtype dtype;

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
  // An element of a tensor of rank 4.
  template <class T>
  T& at(std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t l) const {
    return as<T>()[i * strides[0] + j * strides[1] + k * strides[2] + l * strides[3]];
  }
  std::int64_t count() const {
    std::int64_t n = 1;
    for (int d = 0; d < rank; ++d) n *= dims[d];
    return n;
  }
};

// Visits the elements of a shape in row-major order and tracks the element offset in several tensors.
template <int Tensors>
class Walk {
 public:
  Walk(int rank, const std::int64_t* dims) : rank_(rank) {
    for (int d = 0; d < rank; ++d) {
      dims_[d] = dims[d];
      done_ = done_ || dims[d] == 0;
    }
  }
  void follow(int tensor, const std::int64_t* strides) {
    for (int d = 0; d < rank_; ++d) strides_[tensor][d] = strides[d];
  }
  bool done() const { return done_; }
  std::int64_t offset(int tensor) const { return offset_[tensor]; }
  std::int64_t index(int d) const { return index_[d]; }

  void next() {
    int d = rank_ - 1;
    for (; d >= 0; --d) {
      // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): no rank exceeds LKS_MAX_RANK
      const bool wraps = ++index_[d] == dims_[d];
      for (int t = 0; t < Tensors; ++t) offset_[t] += strides_[t][d] * (wraps ? 1 - dims_[d] : 1);
      if (!wraps) return;
      index_[d] = 0;
    }
    done_ = true;
  }

 private:
  int rank_;
  bool done_ = false;
  std::int64_t dims_[LKS_MAX_RANK], index_[LKS_MAX_RANK] = {};
  std::int64_t strides_[Tensors][LKS_MAX_RANK] = {}, offset_[Tensors] = {};
};
