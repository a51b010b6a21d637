#include <cmath>
#include <limits>

#include "backends/reference/kernels/ordered_sum.h"

namespace reference {
namespace {

// The two loops of a reduction: over the output elements, and for each of them over the reduced dimensions of the
// input.
struct ReductionShape {
  int outer_rank = 0, inner_rank = 0;
  std::int64_t outer_dims[LKS_MAX_RANK], outer_in[LKS_MAX_RANK], outer_out[LKS_MAX_RANK];
  std::int64_t inner_dims[LKS_MAX_RANK], inner_in[LKS_MAX_RANK];

  ReductionShape(const host::TensorView& in, const host::TensorView& out, const lks_int_list& axes, bool keep) {
    int o = 0;
    for (int d = 0; d < in.rank; ++d) {
      bool reduced = false;
      for (std::int64_t a = 0; a < axes.count; ++a) reduced = reduced || axes.values[a] == d;
      if (reduced) {
        inner_dims[inner_rank] = in.dims[d];
        inner_in[inner_rank++] = in.strides[d];
        o += keep;
        continue;
      }
      outer_dims[outer_rank] = in.dims[d];
      outer_in[outer_rank] = in.strides[d];
      outer_out[outer_rank++] = out.strides[o++];
    }
  }

  // Calls visit(offset in the output, walk over the reduced elements, offset in the input of its first element).
  template <class Visit>
  void for_each_output(Visit&& visit) const {
    Walk outer(outer_rank, outer_dims);
    outer.add(outer_in);
    outer.add(outer_out);
    for (; !outer.done(); outer.next()) {
      Walk inner(inner_rank, inner_dims);
      inner.add(inner_in);
      visit(outer.offset(1), inner, outer.offset(0));
    }
  }
};

class SumKernel : public lks_kernel {
 public:
  SumKernel(const lks_reduce_attrs& attrs, bool lockstep) : attrs_(attrs), lockstep_(lockstep) {}

  void run(const lks_launch& launch) const override {
    const host::TensorView in = view(launch, 0), out = view(launch, 1);
    const ReductionShape shape(in, out, attrs_.axes, attrs_.keep != 0);
    with_numeric(in.dtype, [&](auto zero) {
      using T = decltype(zero);
      with_elements<T>(lockstep_, [&](auto empty) {
        shape.for_each_output([&](std::int64_t to, Walk& inner, std::int64_t base) {
          auto sum = empty;
          for (; !inner.done(); inner.next()) sum.add(in.as<T>()[base + inner.offset(0)]);
          out.as<T>()[to] = sum.total();
        });
      });
    });
  }

 private:
  lks_reduce_attrs attrs_;
  bool lockstep_;
};

// NaN wins over every number, and -0 is smaller than +0.
template <class T>
bool beats(T a, T b, bool largest) {
  if constexpr (std::numeric_limits<T>::is_iec559) {
    if (std::isnan(b)) return false;
    if (std::isnan(a)) return true;
    if (a == b) return largest ? std::signbit(b) && !std::signbit(a) : std::signbit(a) && !std::signbit(b);
  }
  return largest ? a > b : a < b;
}

class ExtremeKernel : public lks_kernel {
 public:
  ExtremeKernel(const lks_reduce_attrs& attrs, bool largest) : attrs_(attrs), largest_(largest) {}

  void run(const lks_launch& launch) const override {
    const host::TensorView in = view(launch, 0), out = view(launch, 1);
    const ReductionShape shape(in, out, attrs_.axes, attrs_.keep != 0);
    with_numeric(in.dtype, [&](auto zero) {
      using T = decltype(zero);
      shape.for_each_output([&](std::int64_t to, Walk& inner, std::int64_t base) {
        T best = in.as<T>()[base];
        for (; !inner.done(); inner.next()) {
          const T v = in.as<T>()[base + inner.offset(0)];
          if (beats(v, best, largest_)) best = v;
        }
        out.as<T>()[to] = best;
      });
    });
  }

 private:
  lks_reduce_attrs attrs_;
  bool largest_;
};

class ArgmaxKernel : public lks_kernel {
 public:
  explicit ArgmaxKernel(const lks_argmax_attrs& attrs) : axis_(attrs.axis) {}

  void run(const lks_launch& launch) const override {
    const host::TensorView in = view(launch, 0), out = view(launch, 1);
    const ReductionShape shape(in, out, {1, {axis_}}, false);
    with_numeric(in.dtype, [&](auto zero) {
      using T = decltype(zero);
      shape.for_each_output([&](std::int64_t to, Walk& inner, std::int64_t base) {
        T best = in.as<T>()[base];
        std::int64_t where = 0;
        for (; !inner.done(); inner.next()) {
          const T v = in.as<T>()[base + inner.offset(0)];
          if (v > best || (v != v && best == best)) {
            best = v;
            where = inner.index(0);
          }
        }
        out.as<std::int64_t>()[to] = where;
      });
    });
  }

 private:
  std::int64_t axis_;
};

constexpr std::initializer_list<lks_dtype> numeric = {LKS_F32, LKS_F64, LKS_I32, LKS_I64};

lks_status make_extreme(const KernelRequest& request, Out out, bool largest) {
  if (const lks_status status = common::require_dtypes(request, numeric); status != LKS_OK) return status;
  common::emplace<ExtremeKernel>(request, out, request.attrs<lks_reduce_attrs>(), largest);
  return LKS_OK;
}

}  // namespace

lks_status make_sum(const KernelRequest& request, Out out) {
  if (const lks_status status = common::require_dtypes(request, numeric); status != LKS_OK) return status;
  describe_sum(request);
  common::emplace<SumKernel>(request, out, request.attrs<lks_reduce_attrs>(), is_lockstep(request));
  return LKS_OK;
}

lks_status make_max(const KernelRequest& request, Out out) { return make_extreme(request, out, true); }
lks_status make_min(const KernelRequest& request, Out out) { return make_extreme(request, out, false); }

lks_status make_argmax(const KernelRequest& request, Out out) {
  if (const lks_status status = common::require_dtypes(request, numeric); status != LKS_OK) return status;
  common::emplace<ArgmaxKernel>(request, out, request.attrs<lks_argmax_attrs>());
  return LKS_OK;
}

}  // namespace reference
