// Random numbers for the values of a case, the same on every machine.
#pragma once

#include <cstdint>

#include "ops/random/philox_reference.h"

namespace lockstep::conformance {

/// A sequence of random numbers, determined by a seed and a stream. Each kind of values has its own stream.
class Draw {
 public:
  Draw(std::uint64_t seed, std::uint64_t stream) : key_{seed, stream} {}
  std::uint64_t bits() { return random_long_word(key_, next_++); }
  /// In [0, n), n at least 1.
  std::uint64_t below(std::uint64_t n) { return bits() % n; }
  /// In [0, 1), a multiple of 2^-53.
  double unit() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  /// 1 or -1.
  long double sign() { return below(2) ? 1 : -1; }

 private:
  RandomKey key_;
  std::uint64_t next_ = 0;
};

}  // namespace lockstep::conformance
