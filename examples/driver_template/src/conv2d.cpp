// Convolution and its two gradients. Each output element sums its own products. Images are NHWC, filters OHWI.
#include "kernels.h"
#include "sums.h"

namespace {

// The attributes that the three ops share.
struct Geometry {
  lks_int_list strides, padding, dilation;
  std::int64_t groups;

  // The image row or column that a tap of an output pixel reads. It may lie outside the image.
  std::int64_t row(std::int64_t oh, std::int64_t kh) const {
    return oh * strides.values[0] - padding.values[0] + kh * dilation.values[0];
  }
  std::int64_t column(std::int64_t ow, std::int64_t kw) const {
    return ow * strides.values[1] - padding.values[2] + kw * dilation.values[1];
  }
  // Returns the output row or column whose tap k falls on the input position `position`, or -1. `d` is 0 for rows, 1
  // for columns.
  std::int64_t output(std::int64_t position, std::int64_t k, int d, std::int64_t count) const {
    const std::int64_t start = position + padding.values[2 * d] - k * dilation.values[d];
    if (start < 0 || start % strides.values[d] != 0) return -1;
    return start / strides.values[d] < count ? start / strides.values[d] : -1;
  }
};

bool inside(std::int64_t i, std::int64_t extent) { return i >= 0 && i < extent; }

// Sets every element of a tensor of rank 4 to value(i, j, k, l).
template <class T, class Value>
void for_each(const Tensor& t, Value&& value) {
  for (std::int64_t i = 0; i < t.dims[0]; ++i)
    for (std::int64_t j = 0; j < t.dims[1]; ++j)
      for (std::int64_t k = 0; k < t.dims[2]; ++k)
        for (std::int64_t l = 0; l < t.dims[3]; ++l) t.at<T>(i, j, k, l) = value(i, j, k, l);
}

class Forward : public lks_kernel {
 public:
  explicit Forward(const Geometry& g) : g_(g) {}
  void run(const lks_launch& launch) const override {
    const Tensor x = tensor(launch, 0), w = tensor(launch, 1), y = tensor(launch, dtypes.size() - 1);
    with_float(y.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_each<T>(y, [&](auto n, auto oh, auto ow, auto o) { return pixel<T>(x, w, n, oh, ow, o); });
    });
  }

 private:
  template <class T>
  T pixel(const Tensor& x, const Tensor& w, std::int64_t n, std::int64_t oh, std::int64_t ow, std::int64_t o) const {
    const std::int64_t channels = w.dims[3], first = o / (w.dims[0] / g_.groups) * channels;
    ChainSum<T> sum;
    for (std::int64_t kh = 0; kh < w.dims[1]; ++kh) {
      const std::int64_t h = g_.row(oh, kh);
      if (!inside(h, x.dims[1])) continue;
      for (std::int64_t kw = 0; kw < w.dims[2]; ++kw) {
        const std::int64_t v = g_.column(ow, kw);
        if (!inside(v, x.dims[2])) continue;
        const std::int64_t position = (kh * w.dims[2] + kw) * channels;
        for (std::int64_t c = 0; c < channels; ++c)
          sum.add(position + c, x.at<T>(n, h, v, first + c), w.at<T>(o, kh, kw, c));
      }
    }
    return sum.total();
  }
  Geometry g_;
};

class BackwardInput : public lks_kernel {
 public:
  explicit BackwardInput(const Geometry& g) : g_(g) {}
  void run(const lks_launch& launch) const override {
    const Tensor dy = tensor(launch, 0), w = tensor(launch, 1), dx = tensor(launch, 2);
    with_float(dx.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_each<T>(dx, [&](auto n, auto h, auto v, auto c) { return pixel<T>(dy, w, n, h, v, c); });
    });
  }

 private:
  template <class T>
  T pixel(const Tensor& dy, const Tensor& w, std::int64_t n, std::int64_t h, std::int64_t v, std::int64_t c) const {
    const std::int64_t channels = w.dims[3], filters = w.dims[0] / g_.groups, first = c / channels * filters;
    ChainSum<T> sum;
    for (std::int64_t kh = 0; kh < w.dims[1]; ++kh) {
      const std::int64_t oh = g_.output(h, kh, 0, dy.dims[1]);
      if (oh < 0) continue;
      for (std::int64_t kw = 0; kw < w.dims[2]; ++kw) {
        const std::int64_t ow = g_.output(v, kw, 1, dy.dims[2]);
        if (ow < 0) continue;
        const std::int64_t position = (kh * w.dims[2] + kw) * filters;
        for (std::int64_t o = 0; o < filters; ++o)
          sum.add(position + o, dy.at<T>(n, oh, ow, first + o), w.at<T>(first + o, kh, kw, c % channels));
      }
    }
    return sum.total();
  }
  Geometry g_;
};

class BackwardFilter : public lks_kernel {
 public:
  explicit BackwardFilter(const Geometry& g) : g_(g) {}
  void run(const lks_launch& launch) const override {
    const Tensor x = tensor(launch, 0), dy = tensor(launch, 1), dw = tensor(launch, 2);
    with_float(dw.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_each<T>(dw, [&](auto o, auto kh, auto kw, auto c) {
        return tap<T>(x, dy, o, kh, kw, o / (dw.dims[0] / g_.groups) * dw.dims[3] + c);
      });
    });
  }

 private:
  template <class T>
  T tap(const Tensor& x, const Tensor& dy, std::int64_t o, std::int64_t kh, std::int64_t kw, std::int64_t c) const {
    ChainSum<T> sum;
    for (std::int64_t n = 0; n < dy.dims[0]; ++n) {
      for (std::int64_t oh = 0; oh < dy.dims[1]; ++oh) {
        const std::int64_t h = g_.row(oh, kh);
        if (!inside(h, x.dims[1])) continue;
        for (std::int64_t ow = 0; ow < dy.dims[2]; ++ow) {
          const std::int64_t v = g_.column(ow, kw);
          if (!inside(v, x.dims[2])) continue;
          sum.add((n * dy.dims[1] + oh) * dy.dims[2] + ow, x.at<T>(n, h, v, c), dy.at<T>(n, oh, ow, o));
        }
      }
    }
    return sum.total();
  }
  Geometry g_;
};

template <class Kernel, class Attrs>
lks_status make(const Request& request, Made* made) {
  if (const lks_status status = require_dtypes(request, {LKS_F32, LKS_F64}); status != LKS_OK) return status;
  const auto a = request.attrs<Attrs>();
  describe_sums(request);
  return make_kernel<Kernel>(request, made, Geometry{a.strides, a.padding, a.dilation, a.groups});
}

}  // namespace

lks_status make_conv2d(const Request& request, Made* made) {
  if (request.desc.input_count > 2 && !(request.input(2).flags & LKS_TENSOR_OPTIONAL_ABSENT)) {
    return refuse(request.diag, LKS_REASON_ATTRIBUTE, 2, "no bias: the host adds it");
  }
  return make<Forward, lks_conv2d_attrs>(request, made);
}
lks_status make_conv2d_backward_input(const Request& request, Made* made) {
  return make<BackwardInput, lks_conv2d_backward_input_attrs>(request, made);
}
lks_status make_conv2d_backward_filter(const Request& request, Made* made) {
  return make<BackwardFilter, lks_conv2d_backward_filter_attrs>(request, made);
}
