// The pattern of a fill in the form that copies of whole words need.
#pragma once

#include <cstdint>

namespace common {

/// The low `pattern_bytes` (1, 2, 4 or 8) bytes of `pattern`, repeated to eight bytes.
inline std::uint64_t repeated_pattern(std::uint64_t pattern, std::uint32_t pattern_bytes) {
  std::uint64_t repeated = pattern;
  if (pattern_bytes < 8) repeated &= (std::uint64_t{1} << (8 * pattern_bytes)) - 1;
  for (std::uint32_t have = pattern_bytes; have < 8; have *= 2) repeated |= repeated << (8 * have);
  return repeated;
}

}  // namespace common
