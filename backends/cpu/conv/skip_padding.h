// Convolution that skips padding instead of multiplying it as zeros. It is for operands with infinities or NaN, which
// those zeros would turn into NaN. Sums have the order of lockstep mode: slices of 256 positions, joined pairwise.
#pragma once

#include <atomic>
#include <bit>
#include <limits>

#include "backends/cpu/conv/patches.h"
#include "backends/cpu/lockstep.h"

namespace cpu {

template <class T>
bool all_finite(const lks_host_api& api, const T* values, std::int64_t count) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Bits exponent = std::bit_cast<Bits>(std::numeric_limits<T>::infinity());
  std::atomic<bool> found = false;
  parallel(api, count, grain_for(0.1), [&](std::int64_t begin, std::int64_t end) {
    Bits any = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      any |= static_cast<Bits>((std::bit_cast<Bits>(values[i]) & exponent) == exponent);
    }
    if (any) found.store(true, std::memory_order_relaxed);
  });
  return !found.load(std::memory_order_relaxed);
}

/// Up to tile_columns sums over positions. Positions must be added in ascending order.
template <class T>
class ChunkedSums {
 public:
  static constexpr int width = static_cast<int>(tile_columns<T>);

  explicit ChunkedSums(int count) : joined_(count), count_(count) {}

  /// Adds factor · values at a position.
  void add(std::int64_t position, T factor, const T* values) {
    advance(position / chain_chunk);
    for (int j = 0; j < count_; ++j) partial_[j] += factor * values[j];
  }
  /// The sums over positions [0, end).
  const T* total(std::int64_t end) {
    advance((end + chain_chunk - 1) / chain_chunk);
    return joined_.total();
  }

 private:
  // Chunks without terms are zeros but keep their place in the tree.
  void advance(std::int64_t chunk) {
    for (; chunk_ < chunk; ++chunk_) {
      joined_.add(partial_);
      std::memset(partial_, 0, sizeof partial_);
    }
  }

  PairwiseRuns<T, width> joined_;
  T partial_[width] = {};
  std::int64_t chunk_ = 0;
  int count_;
};

/// For pixels [begin, end) of a class: multiplies their patches by `columns` columns of the right operand `panels`, the
/// filter as conv.cpp packs it. `out` is where the result of pixel number 0 goes.
template <class T>
void multiply_patches_skipping_padding(const Patches<T>& patches, const PatchClass& pixels, std::int64_t begin,
                                       std::int64_t end, const T* panels, std::int64_t columns, T* out,
                                       std::int64_t row_stride) {
  constexpr std::int64_t width = ChunkedSums<T>::width;
  const std::int64_t padded = round_up(columns, width);
  Pixel pixel(patches.map(), pixels.grid, begin);
  for (std::int64_t n = begin; n < end; ++n, pixel.next()) {
    for (std::int64_t first = 0; first < columns; first += width) {
      const auto count = static_cast<int>(std::min(width, columns - first));
      ChunkedSums<T> sums(count);
      std::int64_t position = 0;
      for (const PatchSlice& slice : pixels.slices) {
        const T* const panel = panels + slice.offset * padded + first * slice.depth;
        for (const PatchRun& run : slice.runs) {
          patches.read(pixel, run, [&](const T* from, std::int64_t elements, std::int64_t place) {
            for (std::int64_t i = 0; from && i < elements; ++i) {
              sums.add(position + place + i, from[i], panel + (place + i) * width);
            }
          });
        }
        position += chain_chunk;
      }
      std::copy_n(sums.total(position), count, out + pixel.number() * row_stride + first);
    }
  }
}

/// Computes channels [first, first + count) of one tap of one filter's gradient.
template <class T>
void sum_filter_skipping_padding(const Patches<T>& patches, const T* result, std::int64_t filters, std::int64_t rows,
                                 std::int64_t tap, std::int64_t first, int count, T* out) {
  ChunkedSums<T> sums(count);
  Pixel pixel(patches.map(), 0);
  for (std::int64_t row = 0; row < rows; ++row, pixel.next()) {
    const T* from = patches.at(pixel, tap / patches.map().kernel_width, tap % patches.map().kernel_width);
    if (from) sums.add(row, result[row * filters], from + first);
  }
  std::copy_n(sums.total(rows), count, out);
}

}  // namespace cpu
