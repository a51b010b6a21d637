// What the kernels of lockstep mode share: how they say that they are for it, and the tree in which it joins sums
// (docs/lockstep_mode.md).
#pragma once

#include <cstring>

#include "backends/cpu/kernels.h"

namespace cpu {

inline bool is_lockstep(const KernelRequest& request) { return request.desc.math_mode == LKS_MODE_LOCKSTEP; }

/// For rows that serve lockstep mode alone.
inline lks_status require_lockstep(const KernelRequest& request) {
  if (is_lockstep(request)) return LKS_OK;
  return host::refuse(request.diag, LKS_REASON_MATH_MODE, -1, HOST_WHERE, "this kernel serves lockstep mode alone");
}

/// For rows whose order of sums is not the one that lockstep mode fixes.
inline lks_status refuse_lockstep(const KernelRequest& request) {
  if (!is_lockstep(request)) return LKS_OK;
  return host::refuse(request.diag, LKS_REASON_MATH_MODE, -1, HOST_WHERE,
                      "lockstep mode fixes the order of sums; this kernel has its own");
}

/// What a kernel claims whose sums have the order of lockstep mode.
inline void declare_lockstep(const KernelRequest& request) {
  request.info.accumulate_dtype = request.input(0).dtype;
  request.info.order = LKS_ORDER_PAIRWISE;
  request.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
}

/// Terms of a chain sum, and of a lane sum, that are added up before the partial sums are joined as a tree.
constexpr std::int64_t chain_chunk = 256, lane_chunk = 1024;

/// Joins partial sums pairwise, for up to `width` sums that lie side by side: a binary counter of subtrees, of which
/// those of equal size are joined at once, and what is left at the end from the smallest to the largest.
template <class T, int width>
class PairwiseRuns {
 public:
  explicit PairwiseRuns(int count = width) : count_(count) {}

  void add(const T* partial) {
    std::memcpy(stack_[depth_++], partial, static_cast<std::size_t>(count_) * sizeof(T));
    for (std::uint64_t full = added_++; full & 1; full >>= 1) join();
  }
  /// Ends the sums; zeros where none were added.
  const T* total() {
    if (depth_ == 0) std::memset(stack_[depth_++], 0, sizeof stack_[0]);
    while (depth_ > 1) join();
    return stack_[0];
  }

 private:
  void join() {
    T* const left = stack_[depth_ - 2];
    const T* const right = stack_[--depth_];
#pragma GCC ivdep
    for (int i = 0; i < count_; ++i) left[i] = left[i] + right[i];
  }

  T stack_[56][width];
  int count_, depth_ = 0;
  std::uint64_t added_ = 0;
};

}  // namespace cpu
