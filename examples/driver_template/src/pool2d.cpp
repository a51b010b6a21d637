// Pooling and its gradients. Images are NHWC. Taps outside the image are ignored.
#include <cmath>

#include "kernels.h"

namespace {

struct Windows {
  lks_int_list window, strides, padding;

  // Calls visit(h, w, tap index) for each tap of a window that lies inside the image.
  template <class Visit>
  void taps(const Tensor& image, std::int64_t oh, std::int64_t ow, Visit&& visit) const {
    for (std::int64_t kh = 0; kh < window.values[0]; ++kh) {
      const std::int64_t h = oh * strides.values[0] - padding.values[0] + kh;
      if (h < 0 || h >= image.dims[1]) continue;
      for (std::int64_t kw = 0; kw < window.values[1]; ++kw) {
        const std::int64_t w = ow * strides.values[1] - padding.values[2] + kw;
        if (w >= 0 && w < image.dims[2]) visit(h, w, kh * window.values[1] + kw);
      }
    }
  }
};

// Calls visit(n, h, w, c) for every element, in row-major order.
template <class Visit>
void for_each(const Tensor& t, Visit&& visit) {
  for (std::int64_t n = 0; n < t.dims[0]; ++n)
    for (std::int64_t h = 0; h < t.dims[1]; ++h)
      for (std::int64_t w = 0; w < t.dims[2]; ++w)
        for (std::int64_t c = 0; c < t.dims[3]; ++c) visit(n, h, w, c);
}

struct Max : lks_kernel {
  explicit Max(const Windows& a) : windows(a) {}
  void run(const lks_launch& launch) const override {
    const Tensor x = tensor(launch, 0), y = tensor(launch, 1), chosen = tensor(launch, 2);
    with_float(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_each(y, [&](auto n, auto oh, auto ow, auto c) {
        bool first = true;
        T best = 0;
        windows.taps(x, oh, ow, [&](std::int64_t h, std::int64_t w, std::int64_t tap) {
          const T v = x.at<T>(n, h, w, c);
          const bool above = v > best || (v == best && std::signbit(best) && !std::signbit(v));  // -0 is below +0
          const bool wins = first || (!std::isnan(best) && (std::isnan(v) || above));
          first = false;
          if (!wins) return;
          best = v;
          chosen.at<std::int32_t>(n, oh, ow, c) = static_cast<std::int32_t>(tap);
        });
        y.at<T>(n, oh, ow, c) = best;
      });
    });
  }
  Windows windows;
};

struct MaxBackward : lks_kernel {
  explicit MaxBackward(const Windows& a) : windows(a) {}
  void run(const lks_launch& launch) const override {
    const Tensor dy = tensor(launch, 0), chosen = tensor(launch, 1), dx = tensor(launch, 2);
    with_float(dy.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_each(dx, [&](auto n, auto h, auto w, auto c) { dx.at<T>(n, h, w, c) = 0; });
      // Windows in ascending order, so that each pixel sums in the order of docs/lockstep_mode.md.
      for_each(dy, [&](auto n, auto oh, auto ow, auto c) {
        windows.taps(dx, oh, ow, [&](std::int64_t h, std::int64_t w, std::int64_t tap) {
          if (tap == chosen.at<std::int32_t>(n, oh, ow, c)) dx.at<T>(n, h, w, c) += dy.at<T>(n, oh, ow, c);
        });
      });
    });
  }
  Windows windows;
};

struct Average : lks_kernel {
  explicit Average(const Windows& a) : windows(a) {}
  void run(const lks_launch& launch) const override {
    const Tensor x = tensor(launch, 0), y = tensor(launch, 1);
    with_float(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_each(y, [&](auto n, auto oh, auto ow, auto c) {
        T total = 0, count = 0;
        windows.taps(x, oh, ow, [&](std::int64_t h, std::int64_t w, std::int64_t) {
          total += x.at<T>(n, h, w, c);
          count += 1;
        });
        y.at<T>(n, oh, ow, c) = total / count;
      });
    });
  }
  Windows windows;
};

struct AverageBackward : lks_kernel {
  explicit AverageBackward(const Windows& a) : windows(a) {}
  void run(const lks_launch& launch) const override {
    const Tensor dy = tensor(launch, 0), dx = tensor(launch, 1);
    with_float(dy.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_each(dx, [&](auto n, auto h, auto w, auto c) { dx.at<T>(n, h, w, c) = 0; });
      for_each(dy, [&](auto n, auto oh, auto ow, auto c) {
        T count = 0;
        windows.taps(dx, oh, ow, [&](std::int64_t, std::int64_t, std::int64_t) { count += 1; });
        const T share = dy.at<T>(n, oh, ow, c) / count;
        windows.taps(dx, oh, ow, [&](std::int64_t h, std::int64_t w, std::int64_t) { dx.at<T>(n, h, w, c) += share; });
      });
    });
  }
  Windows windows;
};

template <class Kernel, class Attrs>
lks_status make(const Request& request, Made* made) {
  if (const lks_status status = require_dtypes(request, {LKS_F32, LKS_F64, LKS_I32}); status != LKS_OK) {
    return status;  // i32 is for the tap indices
  }
  if (request.input(0).dtype == LKS_I32) return refuse(request.diag, LKS_REASON_DTYPE, 0, "no pooling of integers");
  const auto a = request.attrs<Attrs>();
  describe_sums(request);
  return make_kernel<Kernel>(request, made, Windows{a.window, a.strides, a.padding});
}

}  // namespace

lks_status make_max_pool2d(const Request& request, Made* made) {
  return make<Max, lks_max_pool2d_attrs>(request, made);
}
lks_status make_max_pool2d_backward(const Request& request, Made* made) {
  return make<MaxBackward, lks_max_pool2d_backward_attrs>(request, made);
}
lks_status make_avg_pool2d(const Request& request, Made* made) {
  return make<Average, lks_avg_pool2d_attrs>(request, made);
}
lks_status make_avg_pool2d_backward(const Request& request, Made* made) {
  return make<AverageBackward, lks_avg_pool2d_backward_attrs>(request, made);
}
