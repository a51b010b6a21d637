#include "backends/cpu/stream.h"

#include <cstdio>

namespace cpu {
namespace {

// The size of the last-level cache in bytes; 0 if the system does not report it. Not from sysconf, which on some
// processors adds up the caches of all sockets.
std::int64_t last_level_cache() {
  std::int64_t bytes = 0;
  for (int index = 0; index < 5; ++index) {
    char path[80];
    std::snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", index);
    std::FILE* file = std::fopen(path, "r");
    if (!file) continue;
    long long kib = 0;
    if (std::fscanf(file, "%lldK", &kib) == 1 && kib * 1024 > bytes) bytes = kib * 1024;
    std::fclose(file);
  }
  return bytes;
}

}  // namespace

std::int64_t stream_threshold() {
  static const std::int64_t threshold = [] {
    const std::int64_t cache = last_level_cache();
    return cache > 0 ? cache / 2 : std::int64_t{4} << 20;
  }();
  return threshold;
}

}  // namespace cpu
