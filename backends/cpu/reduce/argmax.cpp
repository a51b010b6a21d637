// The position of the largest element along an axis; if there are several, the first. NaN counts as largest.
#include <algorithm>

#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/reduce/accumulate.h"
#include "backends/cpu/reduce/combine.h"
#include "backends/cpu/reduce/nest.h"

namespace cpu {
namespace {

/// The largest element, with zeros of both signs equal.
template <class T>
struct LargestNumber : MaxOf<T> {
  static Key<T> lift(T x) {
    if constexpr (std::is_floating_point_v<T>) x += T{0};  // -0 + 0 is +0
    return MaxOf<T>::lift(x);
  }
};

/// argmax along one run: finds the largest element first, then its position. A second pass over cached data is faster
/// than carrying positions.
template <class T>
std::int64_t first_largest(const T* x, std::int64_t n, std::int64_t step) {
  using R = LargestNumber<T>;
  const Key<T> best = accumulate_run<R>(x, n, step);
  constexpr std::int64_t block = 64;
  std::int64_t i = 0;
  for (; step == 1 && i + block <= n; i += block) {
    Key<T> at = block;
    for (Key<T> k = 0; k < block; ++k) at = std::min(at, R::lift(x[i + k]) == best ? k : Key<T>{block});
    if (at < block) return i + at;
  }
  while (i < n && R::lift(x[i * step]) != best) ++i;
  return i;
}

/// argmax across the contiguous dimension: compares each row with the best so far.
template <class T>
void first_largest_of_columns(std::int64_t* to, std::int64_t to_step, const T* x, std::int64_t rows,
                              std::int64_t row_step, std::int64_t columns, std::int64_t column_step) {
  using R = LargestNumber<T>;
  constexpr std::int64_t block = 256;
  Key<T> best[block], where[block];
  for (std::int64_t c = 0; c < columns; c += block) {
    const std::int64_t n = std::min(block, columns - c);
    std::fill_n(best, n, R::empty);
    std::fill_n(where, n, Key<T>{0});
    for (std::int64_t r = 0; r < rows; ++r) {
      const T* row = x + r * row_step + c * column_step;
      const Key<T> position = static_cast<Key<T>>(r);
#pragma GCC ivdep
      for (std::int64_t j = 0; j < n; ++j) {
        const Key<T> value = R::lift(row[j * column_step]);
        where[j] = value > best[j] ? position : where[j];
        best[j] = value > best[j] ? value : best[j];
      }
    }
    for (std::int64_t j = 0; j < n; ++j) to[(c + j) * to_step] = where[j];
  }
}

class ArgmaxKernel : public lks_kernel {
 public:
  ArgmaxKernel(const lks_host_api& api, std::int64_t axis) : api_(api), axis_(axis) {}

  void run(const lks_launch& launch) const override {
    const host::TensorView in = view(launch, 0), out = view(launch, 1);
    if (out.count() == 0) return;
    with_numeric(in.dtype, [&](auto zero) { find(in, out, zero); });
  }

 private:
  template <class T>
  void find(const host::TensorView& in, const host::TensorView& out, T) const {
    ReductionNests nests(in, out, {1, {axis_}}, false);
    // The loop over columns keeps positions in T's width.
    const bool along_rows = nests.along_rows() || in.dims[axis_] > std::numeric_limits<std::int32_t>::max();
    // The axis itself, not a loop merged with others: positions count along it.
    const Nest::Inner axis = {in.dims[axis_], in.strides[axis_], 0};
    const Nest::Inner columns = along_rows ? Nest::Inner{} : nests.kept.take_inner();
    constexpr double ns_per_element = 0.4;
    const double ns = 10 + ns_per_element * static_cast<double>(axis.extent * columns.extent);
    parallel(api_, nests.kept.count(), grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t o = begin; o < end; ++o) {
        const Nest::Offsets at = nests.kept.offsets(o);
        const T* x = in.as<T>() + at.in;
        std::int64_t* to = out.as<std::int64_t>() + at.out;
        if (along_rows) {
          *to = first_largest(x, axis.extent, axis.in);
        } else {
          first_largest_of_columns(to, columns.out, x, axis.extent, axis.in, columns.extent, columns.in);
        }
      }
    });
  }

  const lks_host_api& api_;
  std::int64_t axis_;
};

}  // namespace

lks_status make_argmax(const KernelRequest& request, Out out) {
  if (const lks_status s = common::require_dtypes(request, {LKS_F32, LKS_F64, LKS_I32, LKS_I64}); s != LKS_OK) return s;
  common::emplace<ArgmaxKernel>(request, out, request.api, request.attrs<lks_argmax_attrs>().axis);
  return LKS_OK;
}

}  // namespace cpu
