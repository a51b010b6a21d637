// The memory bandwidth of this machine, measured with a copy that bypasses the caches.
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstring>
#include <memory>
#include <new>

#include "bench/workload.h"

namespace bench {
namespace {

constexpr std::size_t bytes = std::size_t{64} << 20;

struct Free {
  void operator()(float* p) const { ::operator delete[](p, std::align_val_t(4096)); }
};
using Block = std::unique_ptr<float[], Free>;

Block block(float value) {
  Block b(static_cast<float*>(::operator new[](bytes, std::align_val_t(4096))));
  for (std::size_t i = 0; i < bytes / sizeof(float); ++i) b[i] = value;
  return b;
}

void copy_past_caches(float* to, const float* from, std::int64_t begin, std::int64_t end) {
#if defined(__x86_64__)
  for (std::int64_t i = begin; i < end; i += 16) {
    for (int k = 0; k < 16; k += 4) _mm_stream_ps(to + i + k, _mm_load_ps(from + i + k));
  }
  _mm_sfence();
#else
  std::memcpy(to + begin, from + begin, static_cast<std::size_t>(end - begin) * sizeof(float));
#endif
}

}  // namespace

Peer non_temporal_copy() {
  std::shared_ptr<float[]> from = block(1), to = block(0);
  const Work work = [from, to] {
    constexpr std::int64_t lines = bytes / 64;
    lockstep::parallel_for(lines, 1 << 12, [&](std::int64_t begin, std::int64_t end) {
      copy_past_caches(to.get(), from.get(), begin * 16, end * 16);
    });
  };
  return {"non-temporal copy", work, 2.0 * static_cast<double>(bytes)};
}

}  // namespace bench
