// scatter_add: starts from zeros and adds slices at their indices, in ascending order of position. The output is split
// into parts, and each part scans all indices. So one thread owns each element, and the order of its additions is
// fixed.
#include <algorithm>
#include <cstring>

#include "backends/cpu/index/indices.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/reduce/nest.h"

namespace cpu {
namespace {

template <class I, class T>
class ScatterAdd {
 public:
  ScatterAdd(const host::TensorView& updates, const host::TensorView& indices, const host::TensorView& out, int axis)
      : updates_(updates.as<T>()),
        indices_(indices.as<I>()),
        out_(out.as<T>()),
        index_step_(indices.strides[0]),
        update_step_(updates.strides[axis]),
        positions_(updates.dims[axis]),
        extent_(out.dims[axis]) {
    for (int d = 0; d < axis; ++d) before_.insert(updates.dims[d], updates.strides[d], out.strides[d]);
    for (int d = axis + 1; d < out.rank; ++d) {
      behind_.insert(updates.dims[d], updates.strides[d], out.strides[d]);
      slice_ *= out.dims[d];
    }
    before_.merge();
    behind_.merge();
    run_ = behind_.take_inner();
    // Scanning an index costs about as much as adding four elements.
    parts_ = std::clamp<std::int64_t>(std::min(slice_ / 4, extent_), 1, max_parts);
  }

  void run(const lks_host_api& api) const {
    const double adds = static_cast<double>(positions_ * slice_) * 0.3 / static_cast<double>(parts_);
    const double ns = 10 + static_cast<double>(positions_) + adds;
    parallel(api, before_.count() * parts_, grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t u = begin; u < end; ++u) part(u / parts_, u % parts_);
    });
  }

 private:
  static constexpr std::int64_t max_parts = 16;

  void part(std::int64_t outer, std::int64_t p) const {
    const std::int64_t low = extent_ * p / parts_, high = extent_ * (p + 1) / parts_;
    const Nest::Offsets base = before_.offsets(outer);
    T* to = out_ + base.out;  // dense
    std::memset(to + low * slice_, 0, static_cast<std::size_t>((high - low) * slice_) * sizeof(T));
    if (slice_ == 1 && parts_ == 1) return add_elements(to, updates_ + base.in);
    for (std::int64_t i = 0; i < positions_; ++i) {
      const auto index = static_cast<std::int64_t>(indices_[i * index_step_]);
      if (index >= low && index < high) add_slice(to + index * slice_, updates_ + base.in + i * update_step_);
    }
  }

  // For slices of one element.
  void add_elements(T* to, const T* from) const {
    using W = Wrapping<T>;
    for (std::int64_t i = 0; i < positions_; ++i) {
      T& sum = to[indices_[i * index_step_]];
      sum = static_cast<T>(static_cast<W>(sum) + static_cast<W>(from[i * update_step_]));
    }
  }

  void add_slice(T* to, const T* from) const {
    const std::int64_t runs = behind_.count();
    for (std::int64_t r = 0; r < runs; ++r) {
      const Nest::Offsets at = behind_.offsets(r);
      if (run_.in == 1 && run_.out == 1) {
        add_run(to + at.out, 1, from + at.in, 1, run_.extent);
      } else {
        add_run(to + at.out, run_.out, from + at.in, run_.in, run_.extent);
      }
    }
  }

  static void add_run(T* to, std::int64_t to_step, const T* from, std::int64_t from_step, std::int64_t n) {
    using W = Wrapping<T>;
    if (to_step == 1 && from_step == 1) {
#pragma GCC ivdep
      for (std::int64_t k = 0; k < n; ++k) to[k] = static_cast<T>(static_cast<W>(to[k]) + static_cast<W>(from[k]));
      return;
    }
    for (std::int64_t k = 0; k < n; ++k) {
      to[k * to_step] = static_cast<T>(static_cast<W>(to[k * to_step]) + static_cast<W>(from[k * from_step]));
    }
  }

  const T* updates_;
  const I* indices_;
  T* out_;
  std::int64_t index_step_, update_step_, positions_, extent_, slice_ = 1, parts_;
  Nest before_, behind_;
  Nest::Inner run_;
};

class ScatterAddKernel : public lks_kernel {
 public:
  ScatterAddKernel(const lks_host_api& api, const lks_scatter_add_attrs& a)
      : api_(api), axis_(static_cast<int>(a.axis)), extent_(a.extent) {}

  lks_status check(const lks_launch& launch, lks_diag* diag) const override {
    return check_index_tensor(view(launch, 1), extent_, axis_, diag);
  }

  void run(const lks_launch& launch) const override {
    const host::TensorView updates = view(launch, 0), indices = view(launch, 1), out = view(launch, 2);
    if (out.count() == 0) return;
    with_index_type(indices.dtype, [&](auto index) {
      with_numeric(updates.dtype, [&](auto element) {
        ScatterAdd<decltype(index), decltype(element)>(updates, indices, out, axis_).run(api_);
      });
    });
  }

 private:
  const lks_host_api& api_;
  int axis_;
  std::int64_t extent_;
};

}  // namespace

lks_status make_scatter_add(const KernelRequest& request, Out out) {
  const lks_dtype type = request.input(0).dtype;
  if (type != LKS_F32 && type != LKS_F64 && type != LKS_I32 && type != LKS_I64) {
    return common::refuse(request.diag, LKS_REASON_DTYPE, 0, DRIVER_WHERE, "updates are f32, f64, i32 or i64");
  }
  if (!common::is_dense(request.output(0))) {
    return common::refuse(request.diag, LKS_REASON_LAYOUT, -1, DRIVER_WHERE, "the output is not dense");
  }
  if (request.info.deps) request.info.deps[2].dense = 1;
  request.info.order = LKS_ORDER_SEQUENTIAL;
  request.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  common::emplace<ScatterAddKernel>(request, out, request.api, request.attrs<lks_scatter_add_attrs>());
  return LKS_OK;
}

}  // namespace cpu
