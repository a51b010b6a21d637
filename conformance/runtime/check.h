// Checks that throw CheckFailed, a readable comparison of bytes, and a random number generator.
#pragma once

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/runtime/runtime_case.h"
#include "lockstep/driver.h"

namespace lockstep::conformance {

using Bytes = std::vector<unsigned char>;

/// Formats like printf and returns a string.
[[gnu::format(printf, 1, 2)]] std::string text(const char* format, ...);

inline void check(bool holds, const std::string& otherwise) {
  if (!holds) throw CheckFailed(otherwise);
}

std::string status_name(lks_status status);
/// The name and number of a refusal's reason, such as "LKS_REASON_LAYOUT (4)".
std::string reason_name(std::int32_t reason);

/// Whether the text is well-formed UTF-8.
bool is_utf8(std::string_view text);

/// Throws with the first position that differs and both bytes there.
void check_same_bytes(std::span<const unsigned char> got, std::span<const unsigned char> expected,
                      const std::string& what);

/// A small random number generator (SplitMix64), the same on every machine.
class TestRandom {
 public:
  explicit TestRandom(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x1234567u) {}
  std::uint64_t bits() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// In [0, n).
  std::uint64_t below(std::uint64_t n) { return bits() % n; }
  Bytes bytes(std::size_t n) {
    Bytes all(n);
    for (unsigned char& b : all) b = static_cast<unsigned char>(bits());
    return all;
  }

 private:
  std::uint64_t state_;
};

}  // namespace lockstep::conformance
