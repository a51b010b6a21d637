// A strided loop nest, and how a reduction's input falls into two of them.
#pragma once

#include <cstdint>

#include "backends/host/tensor_view.h"
#include "lockstep/driver_ops.h"

namespace cpu {

/// Loops over extents, outermost first, each with a step in elements through up to two tensors. Neighbouring loops are
/// merged where they can be.
struct Nest {
  int rank = 0;
  std::int64_t dims[LKS_MAX_RANK];
  std::int64_t in[LKS_MAX_RANK];   // steps through the input
  std::int64_t out[LKS_MAX_RANK];  // and through the output

  /// Adds a loop so that input steps fall from the outside in. Extents of 1 mean nothing.
  void insert(std::int64_t extent, std::int64_t in_step, std::int64_t out_step);
  /// Adds a loop inside those that there are.
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

  /// Takes the innermost loop out of the nest; one iteration where there is none.
  struct Inner {
    std::int64_t extent = 1, in = 0, out = 0;
  };
  Inner take_inner();
};

/// The dimensions that a reduction keeps and those it reduces, of a tensor of that layout.
struct ReductionNests {
  Nest kept, reduced;

  /// In which order the reduced dimensions are gone through: as they lie in memory, or as they are numbered.
  enum class Order : std::uint8_t { memory, logical };

  ReductionNests(const host::TensorView& in, const host::TensorView& out, const lks_int_list& axes, bool keep,
                 Order order = Order::memory);

  /// Whether to go along dimensions that are reduced: the input lies side by side, or most nearly so, along one of
  /// them.
  bool along_rows() const;
};

}  // namespace cpu
