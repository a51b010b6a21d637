#include "backends/gpu/memory/free_ranges.h"

#include <iterator>

namespace gpu {

std::optional<std::uint64_t> FreeRanges::take(std::uint64_t bytes) {
  for (auto it = ranges_.begin(); it != ranges_.end(); ++it) {
    const auto [start, length] = *it;
    if (length < bytes) continue;
    ranges_.erase(it);
    if (length > bytes) ranges_[start + bytes] = length - bytes;
    return start;
  }
  return std::nullopt;
}

void FreeRanges::give_back(std::uint64_t start, std::uint64_t bytes) {
  auto next = ranges_.lower_bound(start);
  if (next != ranges_.end() && next->first == start + bytes) {
    bytes += next->second;
    next = ranges_.erase(next);
  }
  if (next != ranges_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == start) {
      before->second += bytes;
      return;
    }
  }
  ranges_[start] = bytes;
}

}  // namespace gpu
