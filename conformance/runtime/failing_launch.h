// A launch that fails on the device: one index lies outside the tensor, which no driver can know before it looks.
#pragma once

#include "conformance/runtime/kernels.h"

namespace lockstep::conformance {

/// gather or scatter_add with one index that is outside, in the middle of the others.
struct BadIndex {
  KernelSample sample;
  Bytes good, bad;
};
BadIndex bad_index(std::uint32_t op, std::int64_t index, std::uint64_t seed);

/// The memory of such a sample: its input is there, its output holds 0xa5.
struct IndexMemory {
  IndexMemory(Session& s, Queue& queue, const KernelSample& sample);
  std::vector<Place> places() const { return {{&x, 0}, {&indices, 0}, {&out, 0}}; }
  Buffer x, indices, out;
};

/// Launches; gives the failure, from the call or from the timeline. `value`: of the launch, 0 where it was not
/// enqueued.
lks_diag launch_and_fail(Session& s, Queue& queue, Launch& launch, std::uint64_t& value);

}  // namespace lockstep::conformance
