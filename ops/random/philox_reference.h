// Random bits on the host, for oracles and for host-side shuffles.
#pragma once

#include <cstdint>

#include "lockstep/ops/random.h"

namespace lockstep {

/// Element `index` of a stream of 32-bit words: word index % 4 of the Philox block with counter
/// (index / 4, stream) and key `seed`, low halves first.
std::uint32_t random_word(RandomKey key, std::uint64_t index);

/// Element `index` of a stream of 64-bit words: words w = 2 (index % 2) and w + 1 of block index / 2, low half first.
std::uint64_t random_long_word(RandomKey key, std::uint64_t index);

}  // namespace lockstep
