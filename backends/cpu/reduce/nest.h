// A strided loop nest, and the division of a reduction's input into two of them.
#pragma once

#include <cstdint>

#include "backends/host/tensor_view.h"
#include "lockstep/driver_ops.h"

namespace cpu {

/// Loops over extents, outermost first, each with a step in elements through up to two tensors. merge() joins adjacent
/// loops if their steps allow it.
struct Nest {
  int rank = 0;
  std::int64_t dims[LKS_MAX_RANK];
  std::int64_t in[LKS_MAX_RANK];   // steps through the input
  std::int64_t out[LKS_MAX_RANK];  // steps through the output

  /// Inserts a loop so that the magnitudes of input steps decrease from the outside in. Extents of 1 are ignored.
  void insert(std::int64_t extent, std::int64_t in_step, std::int64_t out_step);
  /// Adds a loop inside the existing ones. Extents of 1 are ignored.
  void append(std::int64_t extent, std::int64_t in_step, std::int64_t out_step);
  void merge();

  std::int64_t count() const {
    std::int64_t n = 1;
    for (int d = 0; d < rank; ++d) n *= dims[d];
    return n;
  }

  /// Offsets of the n-th iteration.
  struct Offsets {
    std::int64_t in = 0, out = 0;
  };
  Offsets offsets(std::int64_t n) const {
    Offsets at;
    for (int d = rank - 1; d > 0; --d) {
      const std::int64_t i = n % dims[d];
      n /= dims[d];
      at.in += i * in[d];
      at.out += i * out[d];
    }
    if (rank > 0) {
      at.in += n * in[0];
      at.out += n * out[0];
    }
    return at;
  }

  /// Removes and returns the innermost loop; a loop of one iteration if there is none.
  struct Inner {
    std::int64_t extent = 1, in = 0, out = 0;
  };
  Inner take_inner();
};

/// The dimensions that a reduction keeps and those that it reduces.
struct ReductionNests {
  Nest kept, reduced;

  /// The order of the loops over reduced dimensions: by stride in memory, or by axis number.
  enum class Order : std::uint8_t { memory, logical };

  ReductionNests(const host::TensorView& in, const host::TensorView& out, const lks_int_list& axes, bool keep,
                 Order order = Order::memory);

  /// Whether the inner loop should run along a reduced dimension: usually if one of these has the smallest stride.
  bool along_rows() const;
};

}  // namespace cpu
