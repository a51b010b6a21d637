// The driver's own depthwise convolution (one filter per channel). It does not become a useful matrix product, so it
// loops directly over the channels, which are contiguous. Sums have the order of lockstep mode, and padding is skipped.
#pragma once

#include "backends/cpu/conv/patches.h"
#include "backends/cpu/lockstep.h"
#include "backends/cpu/parallel.h"

namespace cpu {

template <class T>
class DepthwiseKernel : public lks_kernel {
 public:
  static bool serves(const ConvShape& s) { return s.groups == s.channels && s.filters == s.channels && !s.empty(); }
  static std::uint64_t workspace_bytes(const ConvShape& s, ConvPass pass) {
    const std::int64_t filters = s.kernel_height * s.kernel_width * s.channels;
    const std::int64_t sets = 1 + (pass == ConvPass::backward_filter ? segments(s) : 0);
    return static_cast<std::uint64_t>(filters * sets) * sizeof(T);
  }

  DepthwiseKernel(const lks_host_api& api, const ConvShape& shape, ConvPass pass)
      : api_(api), s_(shape), pass_(pass), map_(shape, pass == ConvPass::backward_input) {}

  void run(const lks_launch& launch) const override {
    const std::size_t output = dtypes.size() - 1;
    const ConvTensors at = conv_tensors(pass_, output);
    T* const image = view(launch, at.image).template as<T>();
    T* const filter = view(launch, at.filter).template as<T>();
    T* const result = view(launch, at.result).template as<T>();
    // The filters reordered: taps outermost, channels innermost.
    T* const by_tap = reinterpret_cast<T*>(static_cast<char*>(launch.workspace->data) + launch.workspace_offset);
    if (pass_ == ConvPass::backward_filter) {
      sum_filters(image, result, by_tap);
      for (std::int64_t i = 0; i < taps() * s_.channels; ++i)
        filter[i % s_.channels * taps() + i / s_.channels] = by_tap[i];
      return;
    }
    for (std::int64_t i = 0; i < taps() * s_.channels; ++i)
      by_tap[i] = filter[i % s_.channels * taps() + i / s_.channels];
    const T* bias = output == 3 && launch.bindings[2].buffer ? view(launch, 2).template as<T>() : nullptr;
    const bool backward = pass_ == ConvPass::backward_input;
    sum_pixels(backward ? result : image, by_tap, bias, backward ? image : result);
  }

 private:
  static constexpr int lanes = 4 * vector_bytes / static_cast<int>(sizeof(T));  // channels whose sums stay in registers

  std::int64_t taps() const { return s_.kernel_height * s_.kernel_width; }

  // The forward pass and the image's gradient: each pixel of `to` is the sum over the taps that it meets in `from`.
  void sum_pixels(const T* from, const T* by_tap, const T* bias, T* to) const {
    const Patches<T> patches(map_, from, 0);
    const double pixel_ns = 2 + 0.3 * static_cast<double>(taps() * s_.channels) * sizeof(T) / vector_bytes;
    parallel(api_, s_.batch * map_.rows * map_.columns, grain_for(pixel_ns), [&](std::int64_t begin, std::int64_t end) {
      Pixel pixel(map_, begin);
      for (std::int64_t row = begin; row < end; ++row, pixel.next()) {
        for (std::int64_t first = 0; first < s_.channels; first += lanes) {
          const std::int64_t count = std::min<std::int64_t>(lanes, s_.channels - first);
          T* const out = to + row * s_.channels + first;
          // A constant trip count keeps the sums in registers.
          if (count == lanes) {
            sum_pixel(patches, pixel, by_tap, first, lanes, out);
          } else {
            sum_pixel(patches, pixel, by_tap, first, count, out);
          }
          for (std::int64_t c = 0; bias && c < count; ++c) out[c] += bias[first + c];
        }
      }
    });
  }

  [[gnu::always_inline]] void sum_pixel(const Patches<T>& patches, const Pixel& pixel, const T* by_tap,
                                        std::int64_t first, std::int64_t count, T* out) const {
    if (taps() <= chain_chunk) return sum_taps(patches, pixel, by_tap, first, count, 0, taps(), out);
    PairwiseRuns<T, lanes> sums(static_cast<int>(count));
    for (std::int64_t tap = 0; tap < taps(); tap += chain_chunk) {
      T partial[lanes];
      sum_taps(patches, pixel, by_tap, first, count, tap, std::min(tap + chain_chunk, taps()), partial);
      sums.add(partial);
    }
    std::copy_n(sums.total(), count, out);
  }

  [[gnu::always_inline]] void sum_taps(const Patches<T>& patches, const Pixel& pixel, const T* by_tap,
                                       std::int64_t first, std::int64_t count, std::int64_t tap, std::int64_t end,
                                       T* out) const {
    T sums[lanes] = {};
    std::int64_t kh = tap / s_.kernel_width, kw = tap % s_.kernel_width;
    for (; tap < end; ++tap) {
      if (const T* const x = patches.at(pixel, kh, kw)) {
        add_products(sums, x + first, by_tap + tap * s_.channels + first, count);
      }
      if (++kw == s_.kernel_width) kw = 0, ++kh;
    }
    std::copy_n(sums, count, out);
  }

  // The filter's gradient. Pixels are split into segments that stay in the L2 cache, and each segment is processed tap
  // by tap. A segment is a whole subtree of the sums, so the sums are joined from those of the segments.
  static constexpr std::int64_t segment = 4 * chain_chunk;

  static std::int64_t pixels_of(const ConvShape& s) { return s.batch * s.out_height * s.out_width; }
  static std::int64_t segments(const ConvShape& s) { return (pixels_of(s) + segment - 1) / segment; }

  void sum_filters(const T* image, const T* result, T* by_tap) const {
    const std::int64_t runs = (s_.channels + lanes - 1) / lanes, filters = taps() * s_.channels;
    const Patches<T> patches(map_, image, 0);
    T* const of_segments = by_tap + filters;
    const auto run_length = [&](std::int64_t first) { return std::min<std::int64_t>(lanes, s_.channels - first); };
    parallel(api_, segments(s_) * runs, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t unit = begin; unit < end; ++unit) {
        const std::int64_t first = unit % runs * lanes, n = unit / runs;
        for (std::int64_t tap = 0; tap < taps(); ++tap) {
          sum_segment(patches, result + first, tap, first, run_length(first), n * segment,
                      of_segments + n * filters + tap * s_.channels + first);
        }
      }
    });
    parallel(api_, taps() * runs, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t unit = begin; unit < end; ++unit) {
        const std::int64_t first = unit % runs * lanes, at = unit / runs * s_.channels + first;
        PairwiseRuns<T, lanes> sums(static_cast<int>(run_length(first)));
        for (std::int64_t n = 0; n < segments(s_); ++n) sums.add(of_segments + n * filters + at);
        std::copy_n(sums.total(), run_length(first), by_tap + at);
      }
    });
  }

  void sum_segment(const Patches<T>& patches, const T* result, std::int64_t tap, std::int64_t first, std::int64_t count,
                   std::int64_t begin, T* out) const {
    PairwiseRuns<T, lanes> sums(static_cast<int>(count));
    Pixel pixel(map_, begin);
    for (std::int64_t p = begin, last = std::min(begin + segment, pixels_of(s_)); p < last; p += chain_chunk) {
      const std::int64_t end = std::min(p + chain_chunk, last);
      T partial[lanes] = {};
      // A constant trip count keeps the sums in registers.
      if (count == lanes) {
        sum_chunk(patches, pixel, result, tap, first, lanes, p, end, partial);
      } else {
        sum_chunk(patches, pixel, result, tap, first, count, p, end, partial);
      }
      sums.add(partial);
    }
    std::copy_n(sums.total(), count, out);
  }

  [[gnu::always_inline]] void sum_chunk(const Patches<T>& patches, Pixel& pixel, const T* result, std::int64_t tap,
                                        std::int64_t first, std::int64_t count, std::int64_t p, std::int64_t end,
                                        T* out) const {
    T sums[lanes] = {};
    const std::int64_t kh = tap / s_.kernel_width, kw = tap % s_.kernel_width;
    for (; p < end; ++p, pixel.next()) {
      if (const T* const x = patches.at(pixel, kh, kw)) add_products(sums, x + first, result + p * s_.channels, count);
    }
    std::copy_n(sums, count, out);
  }

  [[gnu::always_inline]] static void add_products(T* __restrict sums, const T* __restrict a, const T* __restrict b,
                                                  std::int64_t count) {
    for (std::int64_t c = 0; c < count; ++c) sums[c] += a[c] * b[c];
  }

  const lks_host_api& api_;
  const ConvShape s_;
  const ConvPass pass_;
  const PatchMap map_;
};

}  // namespace cpu
