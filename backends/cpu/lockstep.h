// Shared by the kernels of lockstep mode: the checks of the math mode, what the kernels declare, and the tree that
// joins partial sums (docs/lockstep_mode.md).
#pragma once

#include <cstring>

#include "backends/cpu/kernels.h"

namespace cpu {

inline bool is_lockstep(const KernelRequest& request) { return request.desc.math_mode == LKS_MODE_LOCKSTEP; }

/// For rows that serve only lockstep mode.
inline lks_status require_lockstep(const KernelRequest& request) {
  if (is_lockstep(request)) return LKS_OK;
  return common::refuse(request.diag, LKS_REASON_MATH_MODE, -1, DRIVER_WHERE, "this kernel serves lockstep mode alone");
}

/// For rows that sum in another order than lockstep mode prescribes.
inline lks_status refuse_lockstep(const KernelRequest& request) {
  if (!is_lockstep(request)) return LKS_OK;
  return common::refuse(request.diag, LKS_REASON_MATH_MODE, -1, DRIVER_WHERE,
                        "lockstep mode fixes the order of sums; this kernel has its own");
}

/// Declares that the kernel sums in the order of lockstep mode.
inline void declare_lockstep(const KernelRequest& request) {
  request.info.accumulate_dtype = request.input(0).dtype;
  request.info.order = LKS_ORDER_PAIRWISE;
  request.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
}

/// Terms in one chunk of a chain sum and of a lane sum. The sums of the chunks are joined as a tree.
constexpr std::int64_t chain_chunk = 256, lane_chunk = 1024;

/// Joins partial sums pairwise, for up to `width` independent sums in adjacent elements. A stack holds subtrees like a
/// binary counter: two of equal size are joined at once; the rest are joined at the end, from the smallest to the
/// largest.
template <class T, int width>
class PairwiseRuns {
 public:
  explicit PairwiseRuns(int count = width) : count_(count) {}

  void add(const T* partial) {
    std::memcpy(stack_[depth_++], partial, static_cast<std::size_t>(count_) * sizeof(T));
    for (std::uint64_t full = added_++; full & 1; full >>= 1) join();
  }
  /// Finishes the sums. They are zeros if no partial sums were added.
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
