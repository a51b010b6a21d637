#include "backends/cpu/stream.h"

#include <unistd.h>

namespace cpu {

std::int64_t stream_threshold() {
  static const std::int64_t bytes = [] {
    const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    return cache > 0 ? std::int64_t{cache} / 2 : std::int64_t{4} << 20;
  }();
  return bytes;
}

}  // namespace cpu
