#include "ops/random/philox_reference.h"

#include <algorithm>
#include <numeric>

#include "ops/random/random_order.h"
#include "ops/scalar/dialect_cpp.h"

namespace lockstep {
namespace {

#include "ops/scalar/philox.inc"

U32x4 block(RandomKey key, std::uint64_t index) {
  const auto low = [](std::uint64_t v) { return static_cast<std::uint32_t>(v); };
  const auto high = [](std::uint64_t v) { return static_cast<std::uint32_t>(v >> 32); };
  return philox_4x32_10({low(index), high(index), low(key.stream), high(key.stream)}, low(key.seed), high(key.seed));
}

}  // namespace

std::uint32_t random_word(RandomKey key, std::uint64_t index) {
  const U32x4 b = block(key, index / 4);
  const std::uint32_t words[] = {b.x, b.y, b.z, b.w};
  return words[index % 4];
}

std::array<std::uint64_t, 2> random_long_words(RandomKey key, std::uint64_t index) {
  const U32x4 b = block(key, index);
  const auto joined = [](std::uint32_t low, std::uint32_t high) {
    return static_cast<std::uint64_t>(low) | static_cast<std::uint64_t>(high) << 32;
  };
  return {joined(b.x, b.y), joined(b.z, b.w)};
}

std::uint64_t random_long_word(RandomKey key, std::uint64_t index) {
  return random_long_words(key, index / 2)[index % 2];
}

std::vector<std::int64_t> random_order(RandomKey key, std::int64_t n) {
  std::vector<std::int64_t> keys(static_cast<std::size_t>(n)), order(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = static_cast<std::int64_t>(random_long_word(key, i));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return keys[static_cast<std::size_t>(a)] < keys[static_cast<std::size_t>(b)];
  });
  return order;
}

}  // namespace lockstep
