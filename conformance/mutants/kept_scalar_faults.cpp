// Faults in launch-time scalars: those of the first launch are kept, or bits above a scalar's width count.
#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <vector>

#include "conformance/mutants/mutant.h"

namespace mutants {
namespace {

void run_with(const Call& call, const std::vector<std::uint64_t>& scalars) {
  lks_launch launch = call.launch;
  launch.scalars = scalars.data();
  call.correct.run(launch);
}

std::vector<std::uint64_t> scalars_of(const Call& call) {
  return {call.launch.scalars, call.launch.scalars + call.launch.scalar_count};
}

// A kernel keeps all scalars of its first launch except the first one. The key is the description's address, which is
// unique per kernel.
void later_scalars_baked_in(const Call& call) {
  static std::mutex mutex;
  static std::map<const void*, std::vector<std::uint64_t>> first;
  std::vector<std::uint64_t> scalars = scalars_of(call);
  {
    const std::lock_guard lock(mutex);
    const std::vector<std::uint64_t>& kept = first.try_emplace(&call.desc, scalars).first->second;
    for (std::size_t i = 1; i < std::min(kept.size(), scalars.size()); ++i) scalars[i] = kept[i];
  }
  run_with(call, scalars);
}

// Scalars of programs on i32 are read as 64 bits, and saturate. The scalars' dtypes are no longer known at the launch.
void upper_bits_of_scalars_count(const Call& call) {
  std::vector<std::uint64_t> scalars = scalars_of(call);
  if (call.correct.dtypes.empty() || call.correct.dtypes[0] != LKS_I32) return call.run();
  for (std::uint64_t& bits : scalars) {
    if (bits >> 32 == 0) continue;
    const std::int64_t least = std::numeric_limits<std::int32_t>::min();
    bits = static_cast<std::uint64_t>(std::max(static_cast<std::int64_t>(bits), least));
  }
  run_with(call, scalars);
}

constexpr KernelFault faults[] = {
    {Mutant::key_baked_in, LKS_OP_RANDOM_BITS, &later_scalars_baked_in},
    {Mutant::later_numbers_baked_in, LKS_OP_POINTWISE, &later_scalars_baked_in},
    {Mutant::upper_bits_of_scalars_count, LKS_OP_POINTWISE, &upper_bits_of_scalars_count},
};

}  // namespace

std::span<const KernelFault> kept_scalar_faults() { return faults; }

}  // namespace mutants
