// The sums of lockstep mode. docs/lockstep_mode.md defines their order; every device adds in that order and so gets the
// same bits. Sums start from +0, so no partial sum is -0, and a chunk without terms does not change the result.
#pragma once

#include <cstdint>
#include <type_traits>

#include "backends/reference/kernels/kernels.h"

namespace reference {

/// The type in which sums of T are added in lockstep mode: T itself for floats, an unsigned type for integers so that
/// they wrap.
template <class T>
using Term = std::conditional_t<std::is_floating_point_v<T>, T, typename Accumulator<T>::type>;

/// Adds partial sums as a binary tree: neighbours first, then neighbouring pairs, and so on; an odd last one moves up
/// unchanged. Works like a binary counter: as soon as there are two sums of equally many partials, they are added.
template <class T>
class PairwiseSum {
 public:
  void add(T partial) {
    for (std::uint64_t below = count_++; below & 1; below >>= 1) partial = waiting_[--depth_] + partial;
    waiting_[depth_++] = partial;
  }

  T total() const {
    if (depth_ == 0) return 0;
    T sum = waiting_[depth_ - 1];
    for (int i = depth_ - 1; i-- > 0;) sum = waiting_[i] + sum;
    return sum;
  }

 private:
  std::uint64_t count_ = 0;
  int depth_ = 0;
  T waiting_[64];  // pending sums, oldest (and largest) first
};

/// Sums of products, for matmul and convolution. Each chunk of 256 positions is summed sequentially, and each product
/// is rounded before it is added.
template <class T>
class ChainSum {
 public:
  /// Positions must ascend. Skipped positions contribute nothing.
  void add(std::int64_t position, T a, T b) {
    for (; chunk_ < position / 256; ++chunk_) close();
    partial_ += static_cast<Term<T>>(a) * static_cast<Term<T>>(b);
  }
  T total() {
    close();
    return static_cast<T>(chunks_.total());
  }

 private:
  void close() {
    chunks_.add(partial_);
    partial_ = 0;
  }

  PairwiseSum<Term<T>> chunks_;
  std::int64_t chunk_ = 0;
  Term<T> partial_ = 0;
};

/// Sums of elements, for reductions. Each chunk of 1024 positions is distributed over 32 lanes, which are then added by
/// halving.
template <class T>
class LaneSum {
 public:
  void add(T element) {
    lanes_[position_ % 32] += static_cast<Term<T>>(element);
    if (++position_ % 1024 == 0) close();
  }
  T total() {
    if (position_ % 1024 != 0) close();
    return static_cast<T>(chunks_.total());
  }

 private:
  void close() {
    for (int half = 16; half > 0; half /= 2) {
      for (int l = 0; l < half; ++l) lanes_[l] += lanes_[l + half];
    }
    chunks_.add(lanes_[0]);
    for (Term<T>& lane : lanes_) lane = 0;
  }

  PairwiseSum<Term<T>> chunks_;
  std::int64_t position_ = 0;
  Term<T> lanes_[32] = {};
};

/// The sums of strict mode, with the same interface: floats are summed sequentially in double; integers wrap.
template <class T>
class WideSum {
 public:
  void add(T element) { sum_ += static_cast<Wide>(element); }
  void add(std::int64_t, T a, T b) { sum_ += static_cast<Wide>(a) * static_cast<Wide>(b); }
  T total() const { return static_cast<T>(sum_); }

 private:
  using Wide = typename Accumulator<T>::type;
  Wide sum_ = 0;
};

/// Calls f with an empty sum of products of the kind that the math mode requires.
template <class T, class F>
void with_products(bool lockstep, F&& f) {
  lockstep ? f(ChainSum<T>{}) : f(WideSum<T>{});
}

/// Calls f with an empty sum of elements of the kind that the math mode requires.
template <class T, class F>
void with_elements(bool lockstep, F&& f) {
  lockstep ? f(LaneSum<T>{}) : f(WideSum<T>{});
}

inline bool is_lockstep(const KernelRequest& request) { return request.desc.math_mode == LKS_MODE_LOCKSTEP; }

/// Fills in the kernel info that describes the sums.
inline void describe_sum(const KernelRequest& request) {
  const bool lockstep = is_lockstep(request);
  const lks_dtype t = request.input(0).dtype;
  request.info.accumulate_dtype = t == LKS_F32 && !lockstep ? LKS_F64 : t;
  request.info.order = lockstep ? LKS_ORDER_BLOCKED : LKS_ORDER_SEQUENTIAL;
  request.info.determinism = lockstep ? LKS_DETERMINISM_CROSS_DEVICE : LKS_DETERMINISM_RUN_TO_RUN;
}

}  // namespace reference
