// Transposes small squares in registers.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace cpu {

/// The side of the square that transpose_square handles for elements of `size` bytes; 0 if it handles none.
constexpr std::int64_t square_side(std::int64_t size) {
#if defined(__AVX2__)
  return size == 4 ? 8 : size == 8 ? 4 : 0;
#else
  return size == 4 ? 4 : size == 8 ? 2 : 0;
#endif
}

#if defined(__AVX2__)

inline void transpose_square(std::uint32_t* to, std::int64_t to_stride, const std::uint32_t* from,
                             std::int64_t from_stride) {
  __m256 r[8], t[8];
  for (int i = 0; i < 8; ++i) {
    // Each register holds four columns of row i % 4 and of row i % 4 + 4, so that only shuffles within halves remain.
    const auto* row = reinterpret_cast<const float*>(from + (i % 4) * from_stride + (i / 4) * 4);
    r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(row)), _mm_loadu_ps(row + 4 * from_stride), 1);
  }
  for (int h = 0; h < 8; h += 4) {
    t[h] = _mm256_unpacklo_ps(r[h], r[h + 1]);
    t[h + 1] = _mm256_unpackhi_ps(r[h], r[h + 1]);
    t[h + 2] = _mm256_unpacklo_ps(r[h + 2], r[h + 3]);
    t[h + 3] = _mm256_unpackhi_ps(r[h + 2], r[h + 3]);
    r[h] = _mm256_shuffle_ps(t[h], t[h + 2], 0x44);
    r[h + 1] = _mm256_shuffle_ps(t[h], t[h + 2], 0xee);
    r[h + 2] = _mm256_shuffle_ps(t[h + 1], t[h + 3], 0x44);
    r[h + 3] = _mm256_shuffle_ps(t[h + 1], t[h + 3], 0xee);
  }
  for (int i = 0; i < 8; ++i) _mm256_storeu_ps(reinterpret_cast<float*>(to + i * to_stride), r[i]);
}

inline void transpose_square(std::uint64_t* to, std::int64_t to_stride, const std::uint64_t* from,
                             std::int64_t from_stride) {
  __m256d r[4];
  for (int i = 0; i < 4; ++i) {
    const auto* row = reinterpret_cast<const double*>(from + (i % 2) * from_stride + (i / 2) * 2);
    r[i] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(row)), _mm_loadu_pd(row + 2 * from_stride), 1);
  }
  const auto store = [&](int i, __m256d v) { _mm256_storeu_pd(reinterpret_cast<double*>(to + i * to_stride), v); };
  store(0, _mm256_unpacklo_pd(r[0], r[1]));
  store(1, _mm256_unpackhi_pd(r[0], r[1]));
  store(2, _mm256_unpacklo_pd(r[2], r[3]));
  store(3, _mm256_unpackhi_pd(r[2], r[3]));
}

#else

inline void transpose_square(std::uint32_t* to, std::int64_t to_stride, const std::uint32_t* from,
                             std::int64_t from_stride) {
  __m128 r[4];
  for (int i = 0; i < 4; ++i) r[i] = _mm_loadu_ps(reinterpret_cast<const float*>(from + i * from_stride));
  _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
  for (int i = 0; i < 4; ++i) _mm_storeu_ps(reinterpret_cast<float*>(to + i * to_stride), r[i]);
}

inline void transpose_square(std::uint64_t* to, std::int64_t to_stride, const std::uint64_t* from,
                             std::int64_t from_stride) {
  const __m128d a = _mm_loadu_pd(reinterpret_cast<const double*>(from));
  const __m128d b = _mm_loadu_pd(reinterpret_cast<const double*>(from + from_stride));
  _mm_storeu_pd(reinterpret_cast<double*>(to), _mm_unpacklo_pd(a, b));
  _mm_storeu_pd(reinterpret_cast<double*>(to + to_stride), _mm_unpackhi_pd(a, b));
}

#endif

}  // namespace cpu
