// Average pooling and its gradient. The inner loops run over channels, which are contiguous.
#include <cstring>

#include "backends/cpu/pool/window.h"

namespace cpu {
namespace {

template <class T>
void add(const T* __restrict from, std::int64_t count, T* __restrict sums) {
  for (std::int64_t c = 0; c < count; ++c) sums[c] += from[c];
}

template <class T>
void divide(T* values, std::int64_t count, T divisor) {
  for (std::int64_t c = 0; c < count; ++c) values[c] /= divisor;
}

template <class T>
void add_share(const T* __restrict from, std::int64_t count, T divisor, T* __restrict sums) {
  for (std::int64_t c = 0; c < count; ++c) sums[c] += from[c] / divisor;
}

std::int64_t inside(const PoolSide& side, std::int64_t window) { return side.end_tap(window) - side.first_tap(window); }

template <class T>
class AverageKernel : public lks_kernel {
 public:
  AverageKernel(const lks_host_api& api, const PoolAttrs& attrs) : api_(api), attrs_(attrs) {}

  void run(const lks_launch& launch) const override {
    const PoolShape s(attrs_, launch.bindings[0].dims, launch.bindings[1].dims);
    const T* x = view(launch, 0).template as<T>();
    T* y = view(launch, 1).template as<T>();
    for_each_row(api_, s.batch, s.vertical.pooled, s.pooled_row() * s.taps(), [&](std::int64_t n, std::int64_t row) {
      T* const out = y + (n * s.vertical.pooled + row) * s.pooled_row();
      std::memset(out, 0, static_cast<std::size_t>(s.pooled_row()) * sizeof(T));
      const std::int64_t end = s.vertical.end_tap(row);
      for (std::int64_t i = s.vertical.first_tap(row); i < end; ++i) {
        const T* line = x + (n * s.vertical.image + s.vertical.start(row) + i) * s.image_row();
        for_each_column_tap(s.horizontal, [&](std::int64_t p, std::int64_t, std::int64_t position) {
          add(line + position * s.channels, s.channels, out + p * s.channels);
        });
      }
      for (std::int64_t p = 0; p < s.horizontal.pooled; ++p) {
        divide(out + p * s.channels, s.channels, static_cast<T>(inside(s.vertical, row) * inside(s.horizontal, p)));
      }
    });
  }

 private:
  const lks_host_api& api_;
  const PoolAttrs attrs_;
};

// Each row of the image reads the windows that cover it, so that rows are independent.
template <class T>
class AverageBackwardKernel : public lks_kernel {
 public:
  AverageBackwardKernel(const lks_host_api& api, const PoolAttrs& attrs) : api_(api), attrs_(attrs) {}

  void run(const lks_launch& launch) const override {
    const PoolShape s(attrs_, launch.bindings[1].dims, launch.bindings[0].dims);
    const T* dy = view(launch, 0).template as<T>();
    T* dx = view(launch, 1).template as<T>();
    for_each_row(api_, s.batch, s.vertical.image, s.image_row() * 3, [&](std::int64_t n, std::int64_t row) {
      T* const out = dx + (n * s.vertical.image + row) * s.image_row();
      std::memset(out, 0, static_cast<std::size_t>(s.image_row()) * sizeof(T));
      for_each_window_over(s.vertical, row, [&](std::int64_t window, std::int64_t) {
        const T* from = dy + (n * s.vertical.pooled + window) * s.pooled_row();
        const std::int64_t rows = inside(s.vertical, window);
        for_each_column_tap(s.horizontal, [&](std::int64_t p, std::int64_t, std::int64_t position) {
          add_share(from + p * s.channels, s.channels, static_cast<T>(rows * inside(s.horizontal, p)),
                    out + position * s.channels);
        });
      });
    });
  }

 private:
  const lks_host_api& api_;
  const PoolAttrs attrs_;
};

}  // namespace

lks_status make_avg_pool2d(const KernelRequest& request, Out out) {
  return make_pool<AverageKernel, lks_avg_pool2d_attrs>(request, out);
}
lks_status make_avg_pool2d_backward(const KernelRequest& request, Out out) {
  return make_pool<AverageBackwardKernel, lks_avg_pool2d_backward_attrs>(request, out);
}

}  // namespace cpu
