// sparse_cross_entropy and cross_entropy: one loss per row, without storing log_softmax.
#include <limits>

#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/softmax/rows.h"

namespace cpu {
namespace {

constexpr double ns_per_element = 0.6;

/// Calls visit(row, its offset, its scale) for the rows of a tensor, in parallel.
template <template <class> class Sum, class T, class Visit>
void for_each_row(const lks_host_api& api, const Rows& rows, Visit&& visit) {
  const std::int64_t group = std::clamp<std::int64_t>(row_chunk / std::max<std::int64_t>(1, rows.extent), 1, row_chunk);
  const std::int64_t groups = (rows.count + group - 1) / group;
  const double ns = 5 + ns_per_element * static_cast<double>(std::min(group, rows.count) * rows.extent);
  parallel(api, groups, grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
    T values[row_room];
    RowScale<T> scales[row_chunk];
    for (std::int64_t g = begin; g < end; ++g) {
      const std::int64_t first = g * group, n = std::min(group, rows.count - first);
      if (rows.extent > row_chunk) {
        const T* x = reinterpret_cast<const T*>(rows.data) + rows.offset(first);
        scales[0] = scale_of_row<Sum>(x, rows.extent, rows.step, [](std::int64_t, std::int64_t, const T*) {});
      } else {
        scales_of_short_rows<Sum>(rows, first, n, values, scales);
      }
      for (std::int64_t r = 0; r < n; ++r) visit(first + r, rows.offset(first + r), scales[r]);
    }
  });
}

template <template <class> class Sum>
class SparseCrossEntropyKernel : public lks_kernel {
 public:
  explicit SparseCrossEntropyKernel(const lks_host_api& api) : api_(api) {}

  void run(const lks_launch& launch) const override {
    const host::TensorView logits = view(launch, 0), labels = view(launch, 1), loss = view(launch, 2);
    if (loss.count() == 0) return;
    if (dtypes[0] == LKS_F64) {
      run_rows<double>(logits, labels, loss);
    } else {
      run_rows<float>(logits, labels, loss);
    }
  }

 private:
  template <class T>
  void run_rows(const host::TensorView& logits, const host::TensorView& labels, const host::TensorView& loss) const {
    const Rows rows(logits);
    for_each_row<Sum, T>(api_, rows, [&](std::int64_t r, std::int64_t offset, const RowScale<T>& scale) {
      const std::int64_t at = Rows::offset_of(labels, labels.rank, r);
      const std::int64_t label =
          labels.dtype == LKS_I32 ? labels.as<std::int32_t>()[at] : labels.as<std::int64_t>()[at];
      T& to = loss.as<T>()[Rows::offset_of(loss, loss.rank, r)];
      const bool inside = label >= 0 && label < rows.extent;
      // The decomposition sums the picked value and zeros. Adding +0 gives the same: never -0.
      to = inside ? -(T{0} + ((logits.as<T>()[offset + label * rows.step] - scale.largest) - log_of(scale.total)))
                  : std::numeric_limits<T>::quiet_NaN();
    });
  }

  const lks_host_api& api_;
};

template <template <class> class Sum>
class CrossEntropyKernel : public lks_kernel {
 public:
  explicit CrossEntropyKernel(const lks_host_api& api) : api_(api) {}

  void run(const lks_launch& launch) const override {
    const host::TensorView logits = view(launch, 0), targets = view(launch, 1), loss = view(launch, 2);
    if (loss.count() == 0) return;
    if (dtypes[0] == LKS_F64) {
      run_rows<double>(logits, targets, loss);
    } else {
      run_rows<float>(logits, targets, loss);
    }
  }

 private:
  template <class T>
  void run_rows(const host::TensorView& logits, const host::TensorView& targets, const host::TensorView& loss) const {
    const Rows rows(logits), target_rows(targets);
    for_each_row<Sum, T>(api_, rows, [&](std::int64_t r, std::int64_t offset, const RowScale<T>& scale) {
      const T *x = logits.as<T>() + offset, *p = targets.as<T>() + target_rows.offset(r);
      const T log_total = log_of(scale.total);
      Sum<T> total;
      T chunk[row_chunk];
      for (std::int64_t i = 0; i < rows.extent; i += row_chunk) {
        const std::int64_t n = std::min(row_chunk, rows.extent - i);
        for (std::int64_t k = 0; k < n; ++k) {
          const T log_p = (x[(i + k) * rows.step] - scale.largest) - log_total;
          const T target = p[(i + k) * target_rows.step];
          const bool nothing = (target == T{0}) & (log_p == -std::numeric_limits<T>::infinity());
          chunk[k] = nothing ? T{0} : log_p * target;
        }
        total.add(chunk, n);
      }
      loss.as<T>()[Rows::offset_of(loss, loss.rank, r)] = -total.total();
    });
  }

  const lks_host_api& api_;
};

template <template <class> class Sum>
lks_status make_sparse(const KernelRequest& request, Out out) {
  const lks_dtype logits = request.input(0).dtype;
  if (logits != LKS_F32 && logits != LKS_F64) {
    return common::refuse(request.diag, LKS_REASON_DTYPE, 0, DRIVER_WHERE, "logits are f32 or f64");
  }
  common::emplace<SparseCrossEntropyKernel<Sum>>(request, out, request.api);
  return LKS_OK;
}

template <template <class> class Sum>
lks_status make_dense(const KernelRequest& request, Out out) {
  if (const lks_status s = common::require_dtypes(request, {LKS_F32, LKS_F64}); s != LKS_OK) return s;
  common::emplace<CrossEntropyKernel<Sum>>(request, out, request.api);
  return LKS_OK;
}

using Make = lks_status (*)(const KernelRequest&, Out);

lks_status make_lockstep(const KernelRequest& request, Out out, Make make) {
  if (const lks_status s = require_lockstep(request); s != LKS_OK) return s;
  const lks_status s = make(request, out);
  if (s == LKS_OK) declare_lockstep(request);
  return s;
}

lks_status make_strict(const KernelRequest& request, Out out, Make make) {
  const lks_status s = refuse_lockstep(request);
  return s == LKS_OK ? make(request, out) : s;
}

}  // namespace

lks_status make_sparse_cross_entropy(const KernelRequest& request, Out out) {
  return make_strict(request, out, &make_sparse<DoubleSum>);
}
lks_status make_cross_entropy(const KernelRequest& request, Out out) {
  return make_strict(request, out, &make_dense<DoubleSum>);
}
lks_status make_sparse_cross_entropy_lockstep(const KernelRequest& request, Out out) {
  return make_lockstep(request, out, &make_sparse<LaneSum>);
}
lks_status make_cross_entropy_lockstep(const KernelRequest& request, Out out) {
  return make_lockstep(request, out, &make_dense<LaneSum>);
}

}  // namespace cpu
