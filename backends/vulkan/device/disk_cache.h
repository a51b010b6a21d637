// Files that spare work the next time: compiled shaders and pipelines, under the user's cache folder. A file that is
// missing, cut off or foreign is as good as none; one that is written appears whole or not at all. Where the folder has
// grown beyond 256 MiB when it is opened, the oldest files go.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/driver.h"

namespace vulkan {

class DiskCache {
 public:
  /// In the folder that the host's option `cache.folder` names; without it nothing is kept.
  explicit DiskCache(const lks_host_api& host);

  /// What was stored under `name` for exactly this `key`.
  std::optional<std::vector<std::uint32_t>> load(const std::string& name, std::string_view key) const;
  /// Failure to write is no failure of anything else.
  void store(const std::string& name, std::string_view key, const std::vector<std::uint32_t>& words) const;

 private:
  void make_room() const;

  std::string folder_;
};

/// 64 bits of a text, for file names (Fowler, Noll, Vo: FNV-1a).
std::uint64_t hash_of(std::string_view text, std::uint64_t seed = 0xcbf29ce484222325u);

}  // namespace vulkan
