#include <cmath>
#include <cstring>

#include "backends/reference/kernels/ordered_sum.h"

namespace reference {
namespace {

// The attributes that forward and backward share. Images are NHWC.
struct Window {
  lks_int_list window, strides, padding;
};

struct Image {
  host::TensorView t;
  explicit Image(const host::TensorView& view) : t(view) {}
  std::int64_t dim(int d) const { return t.dims[d]; }
  template <class T>
  T& at(std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t l) const {
    return t.as<T>()[i * t.strides[0] + j * t.strides[1] + k * t.strides[2] + l * t.strides[3]];
  }
};

// Calls visit(row, column, tap) for each tap of a window that lies inside the image.
template <class Visit>
void for_each_tap(const Window& a, const Image& x, std::int64_t oh, std::int64_t ow, Visit&& visit) {
  for (std::int64_t kh = 0; kh < a.window.values[0]; ++kh) {
    const std::int64_t h = oh * a.strides.values[0] - a.padding.values[0] + kh;
    if (h < 0 || h >= x.dim(1)) continue;
    for (std::int64_t kw = 0; kw < a.window.values[1]; ++kw) {
      const std::int64_t w = ow * a.strides.values[1] - a.padding.values[2] + kw;
      if (w >= 0 && w < x.dim(2)) visit(h, w, kh * a.window.values[1] + kw);
    }
  }
}

template <class Visit>
void for_each_window(const Image& y, Visit&& visit) {
  for (std::int64_t n = 0; n < y.dim(0); ++n)
    for (std::int64_t oh = 0; oh < y.dim(1); ++oh)
      for (std::int64_t ow = 0; ow < y.dim(2); ++ow)
        for (std::int64_t c = 0; c < y.dim(3); ++c) visit(n, oh, ow, c);
}

template <class F>
void with_float(lks_dtype t, F&& f) {
  t == LKS_F64 ? f(double{}) : f(float{});
}

void clear(const Image& x) {
  std::memset(x.t.data, 0, static_cast<std::size_t>(x.t.count()) * host::size_of(x.t.dtype));
}

// True if v replaces best: +0 is larger than -0, and NaN is larger than every number.
template <class T>
bool comes_before(T v, T best) {
  if (std::isnan(best)) return false;
  return std::isnan(v) || v > best || (v == best && std::signbit(best) && !std::signbit(v));
}

class MaxKernel : public lks_kernel {
 public:
  MaxKernel(const Window& window, bool) : a_(window) {}
  void run(const lks_launch& launch) const override {
    const Image x(view(launch, 0)), y(view(launch, 1)), taps(view(launch, 2));
    with_float(x.t.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_each_window(y, [&](auto n, auto oh, auto ow, auto c) {
        bool seen = false;
        T best = 0;
        for_each_tap(a_, x, oh, ow, [&](std::int64_t h, std::int64_t w, std::int64_t tap) {
          const T v = x.at<T>(n, h, w, c);
          if (seen && !comes_before(v, best)) return;
          seen = true;
          best = v;
          taps.at<std::int32_t>(n, oh, ow, c) = static_cast<std::int32_t>(tap);
        });
        y.at<T>(n, oh, ow, c) = best;
      });
    });
  }

 private:
  Window a_;
};

// The gradients accumulate in the element type in all math modes. Each element adds the windows that cover it in
// ascending order.
class MaxBackwardKernel : public lks_kernel {
 public:
  MaxBackwardKernel(const Window& window, bool) : a_(window) {}
  void run(const lks_launch& launch) const override {
    const Image dy(view(launch, 0)), taps(view(launch, 1)), dx(view(launch, 2));
    clear(dx);
    with_float(dy.t.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_each_window(dy, [&](auto n, auto oh, auto ow, auto c) {
        const std::int64_t tap = taps.at<std::int32_t>(n, oh, ow, c);
        const std::int64_t h = oh * a_.strides.values[0] - a_.padding.values[0] + tap / a_.window.values[1];
        const std::int64_t w = ow * a_.strides.values[1] - a_.padding.values[2] + tap % a_.window.values[1];
        if (h >= 0 && h < dx.dim(1) && w >= 0 && w < dx.dim(2)) dx.at<T>(n, h, w, c) += dy.at<T>(n, oh, ow, c);
      });
    });
  }

 private:
  Window a_;
};

// Accumulates in Sum: double in strict mode, the element type in lockstep mode.
class AverageKernel : public lks_kernel {
 public:
  AverageKernel(const Window& window, bool lockstep) : a_(window), lockstep_(lockstep) {}
  void run(const lks_launch& launch) const override {
    const Image x(view(launch, 0)), y(view(launch, 1));
    with_float(x.t.dtype, [&](auto zero) {
      using T = decltype(zero);
      lockstep_ ? average<T, T>(x, y) : average<T, double>(x, y);
    });
  }

 private:
  template <class T, class Sum>
  void average(const Image& x, const Image& y) const {
    for_each_window(y, [&](auto n, auto oh, auto ow, auto c) {
      Sum total = 0, count = 0;
      for_each_tap(a_, x, oh, ow, [&](std::int64_t h, std::int64_t w, std::int64_t) {
        total += static_cast<Sum>(x.at<T>(n, h, w, c));
        count += 1;
      });
      y.at<T>(n, oh, ow, c) = static_cast<T>(total / count);
    });
  }

  Window a_;
  bool lockstep_;
};

class AverageBackwardKernel : public lks_kernel {
 public:
  AverageBackwardKernel(const Window& window, bool) : a_(window) {}
  void run(const lks_launch& launch) const override {
    const Image dy(view(launch, 0)), dx(view(launch, 1));
    clear(dx);
    with_float(dy.t.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_each_window(dy, [&](auto n, auto oh, auto ow, auto c) {
        T count = 0;
        for_each_tap(a_, dx, oh, ow, [&](std::int64_t, std::int64_t, std::int64_t) { count += 1; });
        const T share = dy.at<T>(n, oh, ow, c) / count;
        for_each_tap(a_, dx, oh, ow,
                     [&](std::int64_t h, std::int64_t w, std::int64_t) { dx.at<T>(n, h, w, c) += share; });
      });
    });
  }

 private:
  Window a_;
};

template <class Kernel, class Attrs>
lks_status make(const KernelRequest& request, Out out) {
  const lks_status status = common::require_dtypes(request, {LKS_F32, LKS_F64, LKS_I32});  // i32 is for the tap indices
  if (status != LKS_OK) return status;
  const auto& a = request.attrs<Attrs>();
  request.info.determinism = is_lockstep(request) ? LKS_DETERMINISM_CROSS_DEVICE : LKS_DETERMINISM_RUN_TO_RUN;
  common::emplace<Kernel>(request, out, Window{a.window, a.strides, a.padding}, is_lockstep(request));
  return LKS_OK;
}

}  // namespace

lks_status make_max_pool2d(const KernelRequest& request, Out out) {
  return make<MaxKernel, lks_max_pool2d_attrs>(request, out);
}
lks_status make_max_pool2d_backward(const KernelRequest& request, Out out) {
  return make<MaxBackwardKernel, lks_max_pool2d_backward_attrs>(request, out);
}
lks_status make_avg_pool2d(const KernelRequest& request, Out out) {
  return make<AverageKernel, lks_avg_pool2d_attrs>(request, out);
}
lks_status make_avg_pool2d_backward(const KernelRequest& request, Out out) {
  return make<AverageBackwardKernel, lks_avg_pool2d_backward_attrs>(request, out);
}

}  // namespace reference
