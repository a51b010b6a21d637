// softmax and log_softmax along the last axis, a row at a time, so that data that is read again is in the cache. The
// arithmetic is that of their decompositions. Other axes use the decompositions themselves, whose steps access
// contiguous memory; rows along such an axis would not.
#include <cstring>

#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/softmax/rows.h"
#include "backends/cpu/stream.h"

namespace cpu {
namespace {

constexpr double ns_per_element = 0.6;

// Stores the values of a row, if `streams` with non-temporal stores.
template <class T>
void store_row(T* to, std::int64_t step, const T* values, std::int64_t n, bool streams) {
  if (step != 1) {
    for (std::int64_t i = 0; i < n; ++i) to[i * step] = values[i];
  } else if (streams) {
    stream_out(reinterpret_cast<char*>(to), reinterpret_cast<const char*>(values),
               n * static_cast<std::int64_t>(sizeof(T)));
  } else {
    std::memcpy(to, values, static_cast<std::size_t>(n) * sizeof(T));
  }
}

template <template <class> class Sum, class T>
void softmax_row(T* to, std::int64_t to_step, const T* x, std::int64_t extent, std::int64_t step) {
  const RowScale<T> scale = scale_of_row<Sum>(x, extent, step, [&](std::int64_t i, std::int64_t n, const T* values) {
    for (std::int64_t k = 0; k < n; ++k) to[(i + k) * to_step] = values[k];
  });
  if (to_step == 1) {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < extent; ++i) to[i] = to[i] / scale.total;
  } else {
    for (std::int64_t i = 0; i < extent; ++i) to[i * to_step] = to[i * to_step] / scale.total;
  }
}

// May be in place.
template <class T>
void log_softmax_row(T* to, std::int64_t to_step, const T* x, std::int64_t extent, std::int64_t step,
                     const RowScale<T>& scale) {
  const T largest = scale.largest, log_total = log_of(scale.total);
  if (to_step == 1 && step == 1) {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < extent; ++i) to[i] = (x[i] - largest) - log_total;
  } else {
    for (std::int64_t i = 0; i < extent; ++i) to[i * to_step] = (x[i * step] - largest) - log_total;
  }
}

template <template <class> class Sum>
class SoftmaxKernel : public lks_kernel {
 public:
  SoftmaxKernel(const lks_host_api& api, bool logarithm) : api_(api), logarithm_(logarithm) {}

  void run(const lks_launch& launch) const override {
    const Rows x(view(launch, 0)), out(view(launch, 1));
    if (x.count * x.extent == 0) return;
    if (dtypes[0] == LKS_F64) {
      run_rows<double>(x, out);
    } else {
      run_rows<float>(x, out);
    }
  }

 private:
  template <class T>
  void run_rows(const Rows& x, const Rows& out) const {
    const std::int64_t group = std::max<std::int64_t>(1, row_chunk / x.extent);
    const std::int64_t groups = (x.count + group - 1) / group;
    constexpr auto size = static_cast<std::int64_t>(sizeof(T));
    constexpr std::int64_t max_prefetch = row_chunk * size;  // bytes of the next group, prefetched during this one
    const std::int64_t row_bytes = x.extent * size;
    const bool streams = row_bytes >= 256 && x.count * row_bytes >= stream_threshold();
    const double ns = ns_per_element * static_cast<double>(std::min(group, x.count) * x.extent);
    parallel(api_, groups, grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t g = begin; g < end; ++g) {
        const std::int64_t first = g * group, n = std::min(group, x.count - first);
        if (streams && g + 1 < end)
          prefetch(x.data + x.offset(first + n) * size, std::min(n * row_bytes, max_prefetch));
        x.extent > row_chunk ? long_row<T>(x, out, first) : short_rows<T>(x, out, first, n, streams);
      }
      if (streams) stream_fence();
    });
  }

  template <class T>
  void long_row(const Rows& rows, const Rows& out, std::int64_t row) const {
    const T* x = reinterpret_cast<const T*>(rows.data) + rows.offset(row);
    T* to = reinterpret_cast<T*>(out.data) + out.offset(row);
    if (!logarithm_) return softmax_row<Sum>(to, out.step, x, rows.extent, rows.step);
    const auto scale = scale_of_row<Sum>(x, rows.extent, rows.step, [](std::int64_t, std::int64_t, const T*) {});
    log_softmax_row(to, out.step, x, rows.extent, rows.step, scale);
  }

  template <class T>
  void short_rows(const Rows& rows, const Rows& out, std::int64_t first, std::int64_t n, bool streams) const {
    T values[row_room];
    RowScale<T> scales[row_chunk];
    scales_of_short_rows<Sum>(rows, first, n, values, scales);
    for (std::int64_t r = 0; r < n; ++r) {
      T* row = values + r * rows.extent;
      if (logarithm_) {
        const T* x = reinterpret_cast<const T*>(rows.data) + rows.offset(first + r);
        log_softmax_row(row, 1, x, rows.extent, rows.step, scales[r]);
      } else {
        const T total = scales[r].total;
        for (std::int64_t i = 0; i < rows.extent; ++i) row[i] = row[i] / total;
      }
      store_row(reinterpret_cast<T*>(out.data) + out.offset(first + r), out.step, row, rows.extent, streams);
    }
  }

  const lks_host_api& api_;
  bool logarithm_;
};

template <template <class> class Sum>
lks_status make(const KernelRequest& request, Out out, bool logarithm) {
  if (const lks_status s = common::require_dtypes(request, {LKS_F32, LKS_F64}); s != LKS_OK) return s;
  if (request.attrs<lks_softmax_attrs>().axis != request.input(0).rank - 1) {
    return common::refuse(request.diag, LKS_REASON_ATTRIBUTE, -1, DRIVER_WHERE, "the axis is not the last");
  }
  common::emplace<SoftmaxKernel<Sum>>(request, out, request.api, logarithm);
  return LKS_OK;
}

lks_status make_lockstep(const KernelRequest& request, Out out, bool logarithm) {
  if (const lks_status s = require_lockstep(request); s != LKS_OK) return s;
  const lks_status s = make<LaneSum>(request, out, logarithm);
  if (s == LKS_OK) declare_lockstep(request);
  return s;
}

lks_status make_strict(const KernelRequest& request, Out out, bool logarithm) {
  if (const lks_status s = refuse_lockstep(request); s != LKS_OK) return s;
  return make<DoubleSum>(request, out, logarithm);
}

}  // namespace

lks_status make_softmax(const KernelRequest& request, Out out) { return make_strict(request, out, false); }
lks_status make_log_softmax(const KernelRequest& request, Out out) { return make_strict(request, out, true); }
lks_status make_softmax_lockstep(const KernelRequest& request, Out out) { return make_lockstep(request, out, false); }
lks_status make_log_softmax_lockstep(const KernelRequest& request, Out out) {
  return make_lockstep(request, out, true);
}

}  // namespace cpu
