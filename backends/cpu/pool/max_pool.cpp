// Max pooling with tap numbers, its gradient and the gradient of that. The inner loops run over channels, which are
// contiguous. (oneDNN's pooling is not used: its workspace is u8 or s32 by its own choice, and does not hold the tap of
// a NaN, which must win.)
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "backends/cpu/pool/window.h"

namespace cpu {
namespace {

template <class T>
class MaxKernel : public lks_kernel {
 public:
  MaxKernel(const lks_host_api& api, const PoolAttrs& attrs) : api_(api), attrs_(attrs) {}

  void run(const lks_launch& launch) const override {
    const PoolShape s(attrs_, launch.bindings[0].dims, launch.bindings[1].dims);
    const T* x = view(launch, 0).template as<T>();
    T* y = view(launch, 1).template as<T>();
    auto* taps = view(launch, 2).template as<std::int32_t>();
    for_each_row(api_, s.batch, s.vertical.pooled, s.pooled_row() * s.taps(), [&](std::int64_t n, std::int64_t row) {
      const std::int64_t at = (n * s.vertical.pooled + row) * s.pooled_row();
      pool_row(s, row, x + n * s.vertical.image * s.image_row(), y + at, taps + at);
    });
  }

 private:
  static void pool_row(const PoolShape& s, std::int64_t row, const T* image, T* y, std::int32_t* taps) {
    pool_columns<false>(s, row, image, y, taps);
    // A -0 can have been preferred to a +0 only if a result is -0. In that case compare again, with -0 below +0.
    if (any_negative_zero(y, s.pooled_row())) pool_columns<true>(s, row, image, y, taps);
  }

  template <bool zeros_differ>
  static void pool_columns(const PoolShape& s, std::int64_t row, const T* image, T* y, std::int32_t* taps) {
    for (std::int64_t column = 0; column < s.horizontal.pooled; ++column, y += s.channels, taps += s.channels) {
      pool_window<zeros_differ>(s, row, column, image, y, taps);
    }
  }

  template <bool zeros_differ>
  static void pool_window(const PoolShape& s, std::int64_t row, std::int64_t column, const T* image, T* y,
                          std::int32_t* taps) {
    const std::int64_t top = s.vertical.start(row), end_row = s.vertical.end_tap(row);
    const std::int64_t left = s.horizontal.start(column), end = s.horizontal.end_tap(column);
    bool first = true;
    for (std::int64_t i = s.vertical.first_tap(row); i < end_row; ++i) {
      for (std::int64_t j = s.horizontal.first_tap(column); j < end; ++j) {
        const T* from = image + (top + i) * s.image_row() + (left + j) * s.channels;
        const auto tap = static_cast<std::int32_t>(i * s.horizontal.window + j);
        first ? begin(from, tap, s.channels, y, taps) : compare<zeros_differ>(from, tap, s.channels, y, taps);
        first = false;
      }
    }
  }

  static bool any_negative_zero(const T* y, std::int64_t count) {
    using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
    Bits any = 0;
    for (std::int64_t c = 0; c < count; ++c) any |= Bits{std::bit_cast<Bits>(y[c]) == std::bit_cast<Bits>(-T{0})};
    return any != 0;
  }

  static void begin(const T* from, std::int32_t tap, std::int64_t channels, T* __restrict best,
                    std::int32_t* __restrict taps) {
    std::memcpy(best, from, static_cast<std::size_t>(channels) * sizeof(T));
    for (std::int64_t c = 0; c < channels; ++c) taps[c] = tap;
  }

  template <bool zeros_differ>
  static void compare(const T* __restrict from, std::int32_t tap, std::int64_t channels, T* __restrict best,
                      std::int32_t* __restrict taps) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const T v = from[c], b = best[c];
      bool wins = static_cast<int>(v > b) | (static_cast<int>(v != v) & static_cast<int>(b == b));
      if constexpr (zeros_differ) wins |= v == b && std::signbit(b) && !std::signbit(v);
      best[c] = wins ? v : b;
      taps[c] = wins ? tap : taps[c];
    }
  }

  const lks_host_api& api_;
  const PoolAttrs attrs_;
};

// Gathers rather than scatters: each row of the image reads the windows that cover it, so that rows are independent and
// sums add the windows in ascending order.
template <class T>
class MaxBackwardKernel : public lks_kernel {
 public:
  MaxBackwardKernel(const lks_host_api& api, const PoolAttrs& attrs) : api_(api), attrs_(attrs) {}

  void run(const lks_launch& launch) const override {
    const PoolShape s(attrs_, launch.bindings[2].dims, launch.bindings[0].dims);
    const T* dy = view(launch, 0).template as<T>();
    const auto* taps = view(launch, 1).template as<std::int32_t>();
    T* dx = view(launch, 2).template as<T>();
    for_each_row(api_, s.batch, s.vertical.image, s.image_row() * 3, [&](std::int64_t n, std::int64_t row) {
      T* const out = dx + (n * s.vertical.image + row) * s.image_row();
      std::memset(out, 0, static_cast<std::size_t>(s.image_row()) * sizeof(T));
      for_each_window_over(s.vertical, row, [&](std::int64_t window, std::int64_t i) {
        const std::int64_t at = (n * s.vertical.pooled + window) * s.pooled_row();
        for_each_column_tap(s.horizontal, [&](std::int64_t p, std::int64_t j, std::int64_t position) {
          add_where(taps + at + p * s.channels, static_cast<std::int32_t>(i * s.horizontal.window + j),
                    dy + at + p * s.channels, s.channels, out + position * s.channels);
        });
      });
    });
  }

 private:
  static void add_where(const std::int32_t* __restrict taps, std::int32_t tap, const T* __restrict dy,
                        std::int64_t channels, T* __restrict out) {
    for (std::int64_t c = 0; c < channels; ++c) out[c] += taps[c] == tap ? dy[c] : T{0};
  }

  const lks_host_api& api_;
  const PoolAttrs attrs_;
};

template <class T>
class MaxGatherKernel : public lks_kernel {
 public:
  MaxGatherKernel(const lks_host_api& api, const PoolAttrs& attrs) : api_(api), attrs_(attrs) {}

  // Taps are input data and may be out of range.
  lks_status check(const lks_launch& launch, lks_diag* diag) const override {
    const PoolShape s(attrs_, launch.bindings[0].dims, launch.bindings[2].dims);
    const auto* taps = view(launch, 1).template as<std::int32_t>();
    const std::int64_t count = s.batch * s.vertical.pooled * s.pooled_row();
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t window = i / s.channels, tap = taps[i];
      const std::int64_t row = tap / s.horizontal.window, column = tap % s.horizontal.window;
      const std::int64_t p = window / s.horizontal.pooled % s.vertical.pooled, q = window % s.horizontal.pooled;
      const bool inside = tap >= 0 && row >= s.vertical.first_tap(p) && row < s.vertical.end_tap(p) &&
                          column >= s.horizontal.first_tap(q) && column < s.horizontal.end_tap(q);
      if (inside) continue;
      common::fail(diag, LKS_INVALID_ARGUMENT, DRIVER_WHERE, "tap %lld at position %lld lies outside the image",
                   static_cast<long long>(tap), static_cast<long long>(i));
      diag->reason = LKS_REASON_INDEX;
      return LKS_INVALID_ARGUMENT;
    }
    return LKS_OK;
  }

  void run(const lks_launch& launch) const override {
    const PoolShape s(attrs_, launch.bindings[0].dims, launch.bindings[2].dims);
    const T* x = view(launch, 0).template as<T>();
    const auto* taps = view(launch, 1).template as<std::int32_t>();
    T* y = view(launch, 2).template as<T>();
    for_each_row(api_, s.batch, s.vertical.pooled, s.pooled_row() * s.taps(), [&](std::int64_t n, std::int64_t row) {
      const std::int64_t at = (n * s.vertical.pooled + row) * s.pooled_row();
      const T* image = x + n * s.vertical.image * s.image_row();
      const std::int64_t end = s.vertical.end_tap(row);
      for (std::int64_t i = s.vertical.first_tap(row); i < end; ++i) {
        const T* line = image + (s.vertical.start(row) + i) * s.image_row();
        for_each_column_tap(s.horizontal, [&](std::int64_t p, std::int64_t j, std::int64_t position) {
          take_where(taps + at + p * s.channels, static_cast<std::int32_t>(i * s.horizontal.window + j),
                     line + position * s.channels, s.channels, y + at + p * s.channels);
        });
      }
    });
  }

 private:
  static void take_where(const std::int32_t* __restrict taps, std::int32_t tap, const T* __restrict from,
                         std::int64_t channels, T* __restrict out) {
    for (std::int64_t c = 0; c < channels; ++c) {
      if (taps[c] == tap) out[c] = from[c];
    }
  }

  const lks_host_api& api_;
  const PoolAttrs attrs_;
};

}  // namespace

lks_status make_max_pool2d(const KernelRequest& request, Out out) {
  return make_pool<MaxKernel, lks_max_pool2d_attrs>(request, out);
}
lks_status make_max_pool2d_backward(const KernelRequest& request, Out out) {
  return make_pool<MaxBackwardKernel, lks_max_pool2d_backward_attrs>(request, out);
}
lks_status make_max_pool2d_gather(const KernelRequest& request, Out out) {
  return make_pool<MaxGatherKernel, lks_max_pool2d_gather_attrs>(request, out);
}

}  // namespace cpu
