// The driver's own depthwise convolution (one filter for each channel): no product to speak of, so it runs directly
// over the channels, which lie side by side.
#pragma once

#include "backends/cpu/conv/patches.h"
#include "backends/cpu/parallel.h"

namespace cpu {

template <class T>
class DepthwiseKernel : public lks_kernel {
 public:
  static bool serves(const ConvShape& s) { return s.groups == s.channels && s.filters == s.channels && !s.empty(); }
  static std::uint64_t workspace_bytes(const ConvShape& s) {
    return static_cast<std::uint64_t>(s.kernel_height * s.kernel_width * s.channels) * sizeof(T);
  }

  DepthwiseKernel(const lks_host_api& api, const ConvShape& shape, ConvPass pass) : api_(api), s_(shape), pass_(pass) {}

  void run(const lks_launch& launch) const override {
    const std::size_t output = dtypes.size() - 1;
    const ConvTensors at = conv_tensors(pass_, output);
    T* const image = view(launch, at.image).template as<T>();
    T* const filter = view(launch, at.filter).template as<T>();
    T* const result = view(launch, at.result).template as<T>();
    // Filters by tap, channels innermost.
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
    sum_pixels(backward ? result : image, by_tap, bias, backward ? image : result, backward);
  }

 private:
  std::int64_t taps() const { return s_.kernel_height * s_.kernel_width; }

  PatchSide side(int i, bool backward) const {
    const std::int64_t extent = backward ? (i ? s_.out_width : s_.out_height) : (i ? s_.width : s_.height);
    return {extent, s_.stride[i], s_.dilation[i], s_.before[i], backward};
  }

  // Forward and the image's gradient: each pixel of `to` sums the taps that it meets in `from`.
  void sum_pixels(const T* from, const T* by_tap, const T* bias, T* to, bool backward) const {
    const PatchSide vertical = side(0, backward), horizontal = side(1, backward);
    const std::int64_t rows = backward ? s_.height : s_.out_height, columns = backward ? s_.width : s_.out_width;
    const double row_ns = 0.3 * static_cast<double>(columns * taps() * s_.channels) * sizeof(T) / vector_scale;
    parallel(api_, s_.batch * rows, grain_for(row_ns), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        for (std::int64_t column = 0; column < columns; ++column) {
          T* const out = to + (row * columns + column) * s_.channels;
          for (std::int64_t c = 0; c < s_.channels; ++c) out[c] = bias ? bias[c] : T{0};
          for (std::int64_t tap = 0; tap < taps(); ++tap) {
            const std::int64_t h = vertical.position(row % rows, tap / s_.kernel_width);
            const std::int64_t w = horizontal.position(column, tap % s_.kernel_width);
            if (h < 0 || w < 0) continue;
            const std::int64_t pixel = (row / rows * vertical.extent + h) * horizontal.extent + w;
            add_products(out, from + pixel * s_.channels, by_tap + tap * s_.channels, s_.channels);
          }
        }
      }
    });
  }

  // The filter's gradient: each tap and run of channels sums over all pixels.
  void sum_filters(const T* image, const T* result, T* by_tap) const {
    constexpr std::int64_t run = 64;
    const std::int64_t runs = (s_.channels + run - 1) / run;
    const PatchSide vertical = side(0, false), horizontal = side(1, false);
    parallel(api_, taps() * runs, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t unit = begin; unit < end; ++unit) {
        const std::int64_t tap = unit / runs, first = unit % runs * run, count = std::min(run, s_.channels - first);
        T sums[run] = {};
        for (std::int64_t line = 0; line < s_.batch * s_.out_height; ++line) {
          const std::int64_t h = vertical.position(line % s_.out_height, tap / s_.kernel_width);
          if (h < 0) continue;
          for (std::int64_t column = 0; column < s_.out_width; ++column) {
            const std::int64_t w = horizontal.position(column, tap % s_.kernel_width);
            if (w < 0) continue;
            const std::int64_t pixel = (line / s_.out_height * s_.height + h) * s_.width + w;
            const T* const in = image + pixel * s_.channels + first;
            const T* const out = result + (line * s_.out_width + column) * s_.channels + first;
            // A constant extent keeps the sums in registers.
            count == run ? add_products(sums, in, out, run) : add_products(sums, in, out, count);
          }
        }
        std::copy_n(sums, count, by_tap + tap * s_.channels + first);
      }
    });
  }

  static void add_products(T* __restrict sums, const T* __restrict a, const T* __restrict b, std::int64_t count) {
    for (std::int64_t c = 0; c < count; ++c) sums[c] += a[c] * b[c];
  }

  static constexpr double vector_scale = 16;  // bytes of one vector, at least

  const lks_host_api& api_;
  const ConvShape s_;
  const ConvPass pass_;
};

}  // namespace cpu
