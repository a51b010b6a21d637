// sum, max, min and argmax. All but argmax reduce over any set of axes.
#include <cmath>
#include <limits>

#include "kernels.h"
#include "sums.h"

namespace {

// The two loops of a reduction: over the output elements, and for each of them over the input elements that it reduces.
struct Reduction {
  int kept = 0, reduced = 0;
  std::int64_t kept_dims[LKS_MAX_RANK], kept_in[LKS_MAX_RANK], kept_out[LKS_MAX_RANK];
  std::int64_t reduced_dims[LKS_MAX_RANK], reduced_in[LKS_MAX_RANK];

  Reduction(const Tensor& in, const Tensor& out, const lks_int_list& axes, bool keep_axes) {
    int axis = 0, out_axis = 0;
    for (int d = 0; d < in.rank; ++d) {
      if (axis < axes.count && axes.values[axis] == d) {
        reduced_dims[reduced] = in.dims[d];
        reduced_in[reduced++] = in.strides[d];
        out_axis += keep_axes;
        ++axis;
      } else {
        kept_dims[kept] = in.dims[d];
        kept_in[kept] = in.strides[d];
        kept_out[kept++] = out.strides[out_axis++];
      }
    }
  }

  // For each output element, calls result(pointer to the first input element, walk over the reduced elements).
  template <class T, class R, class Result>
  void run(const Tensor& in, const Tensor& out, Result&& result) const {
    Walk<2> outer(kept, kept_dims);
    outer.follow(0, kept_in);
    outer.follow(1, kept_out);
    for (; !outer.done(); outer.next()) {
      Walk<1> inner(reduced, reduced_dims);
      inner.follow(0, reduced_in);
      out.as<R>()[outer.offset(1)] = result(in.as<T>() + outer.offset(0), inner);
    }
  }
};

class SumOverAxes : public lks_kernel {
 public:
  explicit SumOverAxes(const lks_reduce_attrs& a) : a_(a) {}
  void run(const lks_launch& launch) const override {
    const Tensor in = tensor(launch, 0), out = tensor(launch, 1);
    with_number(in.dtype, [&](auto zero) {
      using T = decltype(zero);
      Reduction(in, out, a_.axes, a_.keep != 0).run<T, T>(in, out, [](const T* x, Walk<1>& walk) {
        LaneSum<T> sum;
        for (; !walk.done(); walk.next()) sum.add(x[walk.offset(0)]);
        return sum.total();
      });
    });
  }

 private:
  lks_reduce_attrs a_;
};

// NaN wins over every number, and -0 is smaller than +0.
template <class T>
bool above(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return !std::isnan(b);
    if (a == b) return std::signbit(b) && !std::signbit(a);
  }
  return a > b;
}
template <class T>
bool below(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return !std::isnan(b);
    if (a == b) return std::signbit(a) && !std::signbit(b);
  }
  return a < b;
}

class Extreme : public lks_kernel {
 public:
  Extreme(const lks_reduce_attrs& a, bool largest) : a_(a), largest_(largest) {}
  void run(const lks_launch& launch) const override {
    const Tensor in = tensor(launch, 0), out = tensor(launch, 1);
    with_number(in.dtype, [&](auto zero) {
      using T = decltype(zero);
      Reduction(in, out, a_.axes, a_.keep != 0).run<T, T>(in, out, [&](const T* x, Walk<1>& walk) {
        T best = x[0];
        for (; !walk.done(); walk.next()) {
          const T v = x[walk.offset(0)];
          if (largest_ ? above(v, best) : below(v, best)) best = v;
        }
        return best;
      });
    });
  }

 private:
  lks_reduce_attrs a_;
  bool largest_;
};

class Argmax : public lks_kernel {
 public:
  explicit Argmax(std::int64_t axis) : axis_{1, {axis}} {}
  void run(const lks_launch& launch) const override {
    const Tensor in = tensor(launch, 0), out = tensor(launch, 1);
    with_number(in.dtype, [&](auto zero) {
      using T = decltype(zero);
      Reduction(in, out, axis_, false).run<T, std::int64_t>(in, out, [](const T* x, Walk<1>& walk) {
        T best = x[0];
        std::int64_t where = 0;
        for (; !walk.done(); walk.next()) {
          const T v = x[walk.offset(0)];
          const bool first_nan = v != v && best == best;
          if (!first_nan && !(v > best)) continue;
          best = v;
          where = walk.index(0);
        }
        return where;
      });
    });
  }

 private:
  lks_int_list axis_;
};

constexpr std::initializer_list<lks_dtype> numbers = {LKS_F32, LKS_F64, LKS_I32, LKS_I64};

lks_status make_extreme(const Request& request, Made* made, bool largest) {
  if (const lks_status status = require_dtypes(request, numbers); status != LKS_OK) return status;
  const auto attrs = request.attrs<lks_reduce_attrs>();
  return make_kernel<Extreme>(request, made, attrs, largest);
}

}  // namespace

lks_status make_sum(const Request& request, Made* made) {
  if (const lks_status status = require_dtypes(request, numbers); status != LKS_OK) return status;
  const auto attrs = request.attrs<lks_reduce_attrs>();
  describe_sums(request);
  return make_kernel<SumOverAxes>(request, made, attrs);
}

lks_status make_max(const Request& request, Made* made) { return make_extreme(request, made, true); }
lks_status make_min(const Request& request, Made* made) { return make_extreme(request, made, false); }

lks_status make_argmax(const Request& request, Made* made) {
  if (const lks_status status = require_dtypes(request, numbers); status != LKS_OK) return status;
  const auto attrs = request.attrs<lks_argmax_attrs>();
  return make_kernel<Argmax>(request, made, attrs.axis);
}
