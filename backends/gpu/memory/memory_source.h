// Where the pools of this folder get native memory from.
#pragma once

#include <cstdint>
#include <functional>

namespace gpu {

/// `Allocation` is the driver's description of one native allocation. It has a member `bytes`.
template <class Allocation>
struct MemorySource {
  std::function<Allocation(std::uint64_t bytes)> make;  // throws Failure of LKS_OUT_OF_MEMORY
  std::function<void(const Allocation&)> free;
};

}  // namespace gpu
