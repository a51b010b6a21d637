// The free ranges of an allocation that is handed out in parts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace gpu {

class FreeRanges {
 public:
  /// One free range from 0 to `bytes`.
  explicit FreeRanges(std::uint64_t bytes) : all_bytes_(bytes), ranges_{{0, bytes}} {}

  /// The offset of the range that was taken, the first that is long enough; nullopt if none is.
  std::optional<std::uint64_t> take(std::uint64_t bytes);
  /// The range must have been taken.
  void give_back(std::uint64_t start, std::uint64_t bytes);
  /// Whether nothing is taken.
  bool all_free() const { return ranges_.size() == 1 && ranges_.begin()->second == all_bytes_; }

 private:
  const std::uint64_t all_bytes_;
  std::map<std::uint64_t, std::uint64_t> ranges_;  // where a free range starts, and its length; no two adjoin
};

}  // namespace gpu
