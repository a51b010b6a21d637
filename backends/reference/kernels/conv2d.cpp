// Convolution and its two gradients. Each output element sums its own products, in ascending order of the positions
// that lockstep mode defines.
#include "backends/reference/kernels/ordered_sum.h"

namespace reference {
namespace {

// Named extents and strides: images are NHWC, filters OHWI.
struct Image {
  host::TensorView t;
  std::int64_t n, h, w, c;
  explicit Image(const host::TensorView& view) : t(view), n(t.dims[0]), h(t.dims[1]), w(t.dims[2]), c(t.dims[3]) {}
  template <class T>
  T& at(std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t l) const {
    return t.as<T>()[i * t.strides[0] + j * t.strides[1] + k * t.strides[2] + l * t.strides[3]];
  }
};

// The attributes that the three ops share, in the order of the attribute structs.
struct Window {
  lks_int_list strides, padding, dilation;
  std::int64_t groups;

  std::int64_t row(std::int64_t out, std::int64_t tap) const {
    return out * strides.values[0] - padding.values[0] + tap * dilation.values[0];
  }
  std::int64_t column(std::int64_t out, std::int64_t tap) const {
    return out * strides.values[1] - padding.values[2] + tap * dilation.values[1];
  }
};

template <class F>
void with_float(lks_dtype t, F&& f) {
  t == LKS_F64 ? f(double{}) : f(float{});
}

class Conv2dKernel : public lks_kernel {
 public:
  Conv2dKernel(const Window& window, bool lockstep) : window_(window), lockstep_(lockstep) {}

  void run(const lks_launch& launch) const override {
    const Image x(view(launch, 0)), w(view(launch, 1)), y(view(launch, dtypes.size() - 1));
    with_float(x.t.dtype, [&](auto zero) {
      using T = decltype(zero);
      with_products<T>(lockstep_, [&](auto empty) {
        for (std::int64_t n = 0; n < y.n; ++n)
          for (std::int64_t h = 0; h < y.h; ++h)
            for (std::int64_t v = 0; v < y.w; ++v)
              for (std::int64_t o = 0; o < y.c; ++o) y.at<T>(n, h, v, o) = dot<T>(empty, x, w, n, h, v, o);
      });
    });
  }

 private:
  template <class T, class Sum>
  T dot(Sum sum, const Image& x, const Image& w, std::int64_t n, std::int64_t h, std::int64_t v, std::int64_t o) const {
    const std::int64_t first_channel = o / (w.n / window_.groups) * w.c;
    for (std::int64_t kh = 0; kh < w.h; ++kh) {
      const std::int64_t row = window_.row(h, kh);
      if (row < 0 || row >= x.h) continue;
      for (std::int64_t kw = 0; kw < w.w; ++kw) {
        const std::int64_t column = window_.column(v, kw);
        if (column < 0 || column >= x.w) continue;
        for (std::int64_t i = 0; i < w.c; ++i) {
          sum.add((kh * w.w + kw) * w.c + i, x.at<T>(n, row, column, first_channel + i), w.at<T>(o, kh, kw, i));
        }
      }
    }
    return sum.total();
  }

  Window window_;
  bool lockstep_;
};

class BackwardInputKernel : public lks_kernel {
 public:
  BackwardInputKernel(const Window& window, bool lockstep) : window_(window), lockstep_(lockstep) {}

  void run(const lks_launch& launch) const override {
    const Image dy(view(launch, 0)), w(view(launch, 1)), dx(view(launch, 2));
    with_float(dy.t.dtype, [&](auto zero) {
      using T = decltype(zero);
      with_products<T>(lockstep_, [&](auto empty) {
        for (std::int64_t n = 0; n < dx.n; ++n)
          for (std::int64_t h = 0; h < dx.h; ++h)
            for (std::int64_t v = 0; v < dx.w; ++v)
              for (std::int64_t c = 0; c < dx.c; ++c) dx.at<T>(n, h, v, c) = dot<T>(empty, dy, w, n, h, v, c);
      });
    });
  }

 private:
  // Returns the output position whose tap `k` falls on the input position `position`, or -1 if there is none.
  static std::int64_t output_of(std::int64_t position, std::int64_t before, std::int64_t k, std::int64_t dilation,
                                std::int64_t stride, std::int64_t count) {
    const std::int64_t start = position + before - k * dilation;
    return start >= 0 && start % stride == 0 && start / stride < count ? start / stride : -1;
  }

  template <class T, class Sum>
  T dot(Sum sum, const Image& dy, const Image& w, std::int64_t n, std::int64_t h, std::int64_t v,
        std::int64_t c) const {
    const std::int64_t per_group = w.n / window_.groups, group = c / w.c;
    for (std::int64_t kh = 0; kh < w.h; ++kh) {
      const std::int64_t oh =
          output_of(h, window_.padding.values[0], kh, window_.dilation.values[0], window_.strides.values[0], dy.h);
      if (oh < 0) continue;
      for (std::int64_t kw = 0; kw < w.w; ++kw) {
        const std::int64_t ow =
            output_of(v, window_.padding.values[2], kw, window_.dilation.values[1], window_.strides.values[1], dy.w);
        if (ow < 0) continue;
        for (std::int64_t i = 0; i < per_group; ++i) {
          const std::int64_t o = group * per_group + i;
          sum.add((kh * w.w + kw) * per_group + i, dy.at<T>(n, oh, ow, o), w.at<T>(o, kh, kw, c - group * w.c));
        }
      }
    }
    return sum.total();
  }

  Window window_;
  bool lockstep_;
};

class BackwardFilterKernel : public lks_kernel {
 public:
  BackwardFilterKernel(const Window& window, bool lockstep) : window_(window), lockstep_(lockstep) {}

  void run(const lks_launch& launch) const override {
    const Image x(view(launch, 0)), dy(view(launch, 1)), dw(view(launch, 2));
    with_float(x.t.dtype, [&](auto zero) {
      using T = decltype(zero);
      with_products<T>(lockstep_, [&](auto empty) {
        for (std::int64_t o = 0; o < dw.n; ++o)
          for (std::int64_t kh = 0; kh < dw.h; ++kh)
            for (std::int64_t kw = 0; kw < dw.w; ++kw)
              for (std::int64_t i = 0; i < dw.c; ++i) dw.at<T>(o, kh, kw, i) = dot<T>(empty, x, dy, dw, o, kh, kw, i);
      });
    });
  }

 private:
  template <class T, class Sum>
  T dot(Sum sum, const Image& x, const Image& dy, const Image& dw, std::int64_t o, std::int64_t kh, std::int64_t kw,
        std::int64_t i) const {
    const std::int64_t channel = o / (dw.n / window_.groups) * dw.c + i;
    for (std::int64_t n = 0; n < dy.n; ++n) {
      for (std::int64_t oh = 0; oh < dy.h; ++oh) {
        const std::int64_t row = window_.row(oh, kh);
        if (row < 0 || row >= x.h) continue;
        for (std::int64_t ow = 0; ow < dy.w; ++ow) {
          const std::int64_t column = window_.column(ow, kw);
          if (column < 0 || column >= x.w) continue;
          sum.add((n * dy.h + oh) * dy.w + ow, x.at<T>(n, row, column, channel), dy.at<T>(n, oh, ow, o));
        }
      }
    }
    return sum.total();
  }

  Window window_;
  bool lockstep_;
};

template <class Kernel, class Attrs>
lks_status make(const KernelRequest& request, Out out) {
  if (const lks_status status = common::require_dtypes(request, {LKS_F32, LKS_F64}); status != LKS_OK) return status;
  const auto& a = request.attrs<Attrs>();
  describe_sum(request);
  common::emplace<Kernel>(request, out, Window{a.strides, a.padding, a.dilation, a.groups}, is_lockstep(request));
  return LKS_OK;
}

}  // namespace

lks_status make_conv2d(const KernelRequest& request, Out out) {
  if (request.has_input(2)) {
    return common::refuse(request.diag, LKS_REASON_ATTRIBUTE, 2, DRIVER_WHERE, "no bias: it is added by another op");
  }
  return make<Conv2dKernel, lks_conv2d_attrs>(request, out);
}
lks_status make_conv2d_backward_input(const KernelRequest& request, Out out) {
  return make<BackwardInputKernel, lks_conv2d_backward_input_attrs>(request, out);
}
lks_status make_conv2d_backward_filter(const KernelRequest& request, Out out) {
  return make<BackwardFilterKernel, lks_conv2d_backward_filter_attrs>(request, out);
}

}  // namespace reference
