// A random order on the host, the same that random_permutation gives on any device.
#pragma once

#include <cstdint>
#include <vector>

#include "lockstep/ops/random.h"

namespace lockstep {

/// 0 … n-1 sorted by n random 64-bit keys, ties by index.
std::vector<std::int64_t> random_order(RandomKey key, std::int64_t n);

}  // namespace lockstep
