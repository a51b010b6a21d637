// Non-temporal stores, which bypass the caches. For results larger than the caches: ordinary stores would evict
// everything else, and would first read the old contents of each cache line for nothing.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace cpu {

/// Copies bytes with non-temporal stores to memory that is not read soon. Each thread calls stream_fence() after its
/// last copy.
inline void stream_out(char* to, const char* from, std::int64_t bytes) {
  const std::int64_t head = static_cast<std::int64_t>(-reinterpret_cast<std::uintptr_t>(to) & 63);
  std::int64_t i = head < bytes ? head : bytes;
  if (i > 0) std::memcpy(to, from, static_cast<std::size_t>(i));
#if defined(__AVX512F__)
  for (; i + 64 <= bytes; i += 64) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_loadu_si512(from + i));
  }
#elif defined(__AVX2__)
  for (; i + 64 <= bytes; i += 64) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i + 32));
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i), a);
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i + 32), b);
  }
#else
  for (; i + 64 <= bytes; i += 64) {
    for (int k = 0; k < 64; k += 16) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + i + k),
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i + k)));
    }
  }
#endif
  if (i < bytes) std::memcpy(to + i, from + i, static_cast<std::size_t>(bytes - i));
}

/// Prefetches memory that will be read soon.
inline void prefetch(const char* from, std::int64_t bytes) {
  for (std::int64_t i = 0; i < bytes; i += 64) _mm_prefetch(from + i, _MM_HINT_T0);
}

inline void stream_fence() { _mm_sfence(); }

/// Outputs of at least this many bytes are streamed: half of the last-level cache.
std::int64_t stream_threshold();

}  // namespace cpu
