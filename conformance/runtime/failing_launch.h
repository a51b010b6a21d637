// A launch that fails on the device: one index is out of bounds, which a driver can find only when it executes it.
#pragma once

#include "conformance/runtime/kernels.h"

namespace lockstep::conformance {

/// A sample of gather or scatter_add, its valid indices, and the same indices with one in the middle out of bounds.
struct BadIndex {
  KernelSample sample;
  Bytes good, bad;
};
BadIndex bad_index(std::uint32_t op, std::int64_t index, std::uint64_t seed);

/// Buffers for such a sample: the input is uploaded, the output is filled with 0xa5, the indices are not set.
struct IndexMemory {
  IndexMemory(Session& s, Queue& queue, const KernelSample& sample);
  std::vector<TensorLocation> locations() const { return {{&x, 0}, {&indices, 0}, {&out, 0}}; }
  Buffer x, indices, out;
};

/// A gather with an index that is out of bounds, ready to be launched on any queue.
class FailingLaunch {
 public:
  /// Uses `queue` to fill the memory.
  FailingLaunch(Session& s, Queue& queue, std::uint64_t seed);
  std::uint64_t enqueue(Queue& queue);

 private:
  const BadIndex made_;
  const Kernel kernel_;
  const IndexMemory memory_;
};

/// Launches and returns the diag of the failure, from the call or from the timeline. `value` is the value of the
/// launch, or 0 if it was not enqueued.
lks_diag launch_and_fail(Session& s, Queue& queue, Launch& launch, std::uint64_t& value);

}  // namespace lockstep::conformance
