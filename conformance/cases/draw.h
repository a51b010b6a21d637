// Random numbers for the values of a case, the same on every machine.
#pragma once

#include <array>
#include <cstdint>

#include "ops/random/philox_reference.h"

namespace lockstep::conformance {

/// A sequence of random numbers, determined by a seed and a stream. Each kind of values has its own stream.
class Draw {
 public:
  Draw(std::uint64_t seed, std::uint64_t stream) : key_{seed, stream} {}
  std::uint64_t bits() {
    if (next_ % 2 == 0) words_ = random_long_words(key_, next_ / 2);
    return words_[next_++ % 2];
  }
  /// In [0, n), n at least 1.
  std::uint64_t below(std::uint64_t n) { return bits() % n; }
  /// In [0, 1), a multiple of 2^-53.
  double unit() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  /// 1 or -1.
  long double sign() { return below(2) ? 1 : -1; }

 private:
  RandomKey key_;
  std::uint64_t next_ = 0;
  std::array<std::uint64_t, 2> words_{};
};

}  // namespace lockstep::conformance
