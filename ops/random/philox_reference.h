// Random bits on the host, for oracles and for host-side shuffles.
#pragma once

#include <array>
#include <cstdint>

#include "lockstep/ops/random.h"

namespace lockstep {

/// Element `index` of a stream of 32-bit words: word index % 4 of the Philox block with counter
/// (index / 4, stream) and key `seed`, low halves first.
std::uint32_t random_word(RandomKey key, std::uint64_t index);

/// Elements 2 `block` and 2 `block` + 1 of a stream of 64-bit words: words 0 and 1 of the Philox block, and words 2 and
/// 3, low halves first.
std::array<std::uint64_t, 2> random_long_words(RandomKey key, std::uint64_t block);

/// Element `index` of that stream.
std::uint64_t random_long_word(RandomKey key, std::uint64_t index);

}  // namespace lockstep
