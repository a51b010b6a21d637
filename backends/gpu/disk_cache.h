// A cache on disk of what a driver compiles, in the user's cache folder. A missing, truncated or foreign file
// is a cache miss. Writes are atomic: a file appears whole or not at all. If the folder holds more than 256 MiB when it
// is opened, the oldest files are evicted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/driver.h"

namespace gpu {

class DiskCache {
 public:
  /// Uses the subfolder `driver` of the folder that the host's option `cache.folder` names; without that option,
  /// nothing is cached.
  DiskCache(const lks_host_api& host, const std::string& driver);

  /// What was stored under `name` for exactly this `key`; nullopt on a miss.
  std::optional<std::vector<std::uint32_t>> load(const std::string& name, std::string_view key) const;
  /// Errors of writing are ignored.
  void store(const std::string& name, std::string_view key, const std::vector<std::uint32_t>& words) const;

 private:
  void make_room() const;

  std::string folder_;
};

/// A 64-bit hash of a text, for file names and checksums (Fowler, Noll, Vo: FNV-1a).
std::uint64_t hash_of(std::string_view text, std::uint64_t seed = 0xcbf29ce484222325u);

}  // namespace gpu
