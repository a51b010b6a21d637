// gather, scatter_add and argsort. All indices are checked before anything is written.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <span>
#include <vector>

#include "backends/host/index_check.h"
#include "backends/reference/kernels/kernels.h"

namespace reference {
namespace {

std::int64_t index_at(const host::TensorView& indices, std::int64_t offset) {
  return indices.dtype == LKS_I32 ? indices.as<std::int32_t>()[offset] : indices.as<std::int64_t>()[offset];
}

// out[before…, indices…, after…] = x[before…, index, after…]
class GatherKernel : public lks_kernel {
 public:
  explicit GatherKernel(std::int64_t axis) : axis_(static_cast<int>(axis)) {}

  lks_status check(const lks_launch& launch, lks_diag* diag) const override {
    return host::check_indices(view(launch, 1), view(launch, 0).dims[axis_], axis_, diag);
  }

  void run(const lks_launch& launch) const override {
    const host::TensorView x = view(launch, 0), indices = view(launch, 1), out = view(launch, 2);
    std::int64_t x_strides[LKS_MAX_RANK] = {}, index_strides[LKS_MAX_RANK] = {};
    for (int d = 0; d < out.rank; ++d) {
      const bool in_indices = d >= axis_ && d < axis_ + indices.rank;
      if (in_indices) {
        index_strides[d] = indices.strides[d - axis_];
      } else {
        x_strides[d] = x.strides[d < axis_ ? d : d - indices.rank + 1];
      }
    }
    const auto size = static_cast<std::int64_t>(host::size_of(x.dtype));
    Walk walk(out.rank, out.dims);
    walk.add(out.strides);
    walk.add(x_strides);
    walk.add(index_strides);
    for (; !walk.done(); walk.next()) {
      const std::int64_t from = walk.offset(1) + index_at(indices, walk.offset(2)) * x.strides[axis_];
      std::memcpy(out.data + walk.offset(0) * size, x.data + from * size, static_cast<std::size_t>(size));
    }
  }

 private:
  int axis_;
};

class ScatterAddKernel : public lks_kernel {
 public:
  explicit ScatterAddKernel(const lks_scatter_add_attrs& a) : axis_(static_cast<int>(a.axis)), extent_(a.extent) {}

  lks_status check(const lks_launch& launch, lks_diag* diag) const override {
    return host::check_indices(view(launch, 1), extent_, axis_, diag);
  }

  void run(const lks_launch& launch) const override {
    const host::TensorView updates = view(launch, 0), indices = view(launch, 1), out = view(launch, 2);
    std::memset(out.data, 0, static_cast<std::size_t>(out.count()) * host::size_of(out.dtype));
    std::int64_t out_strides[LKS_MAX_RANK];
    for (int d = 0; d < out.rank; ++d) out_strides[d] = d == axis_ ? 0 : out.strides[d];
    with_numeric(updates.dtype, [&](auto zero) {
      using T = decltype(zero);
      using Wrapping = std::conditional_t<std::is_floating_point_v<T>, T, typename Accumulator<T>::type>;
      Walk walk(updates.rank, updates.dims);
      walk.add(updates.strides);
      walk.add(out_strides);
      for (; !walk.done(); walk.next()) {
        const std::int64_t index = index_at(indices, walk.index(axis_) * indices.strides[0]);
        T& to = out.as<T>()[walk.offset(1) + index * out.strides[axis_]];
        to = static_cast<T>(static_cast<Wrapping>(to) + static_cast<Wrapping>(updates.as<T>()[walk.offset(0)]));
      }
    });
  }

 private:
  int axis_;
  std::int64_t extent_;
};

class ArgsortKernel : public lks_kernel {
 public:
  void run(const lks_launch& launch) const override {
    const host::TensorView x = view(launch, 0), out = view(launch, 1);
    const auto n = static_cast<std::size_t>(x.dims[0]);
    // A dense result is sorted where it is.
    std::vector<std::int64_t> elsewhere(out.strides[0] == 1 ? 0 : n);
    const std::span order(elsewhere.empty() ? out.as<std::int64_t>() : elsewhere.data(), n);
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      const std::int64_t *keys = x.as<std::int64_t>(), p = keys[a * x.strides[0]], q = keys[b * x.strides[0]];
      return p < q || (p == q && a < b);
    });
    for (std::size_t i = 0; i < elsewhere.size(); ++i) {
      out.as<std::int64_t>()[static_cast<std::int64_t>(i) * out.strides[0]] = elsewhere[i];
    }
  }
};

}  // namespace

lks_status make_gather(const KernelRequest& request, Out out) {
  common::emplace<GatherKernel>(request, out, request.attrs<lks_gather_attrs>().axis);
  return LKS_OK;
}

lks_status make_argsort(const KernelRequest& request, Out out) {
  if (const lks_status s = common::require_dtypes(request, {LKS_I64}); s != LKS_OK) return s;
  common::emplace<ArgsortKernel>(request, out);
  return LKS_OK;
}

lks_status make_scatter_add(const KernelRequest& request, Out out) {
  const lks_status status = common::require_dtypes(request, {LKS_F32, LKS_F64, LKS_I32, LKS_I64});
  if (status != LKS_OK) return status;
  request.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  common::emplace<ScatterAddKernel>(request, out, request.attrs<lks_scatter_add_attrs>());
  return LKS_OK;
}

}  // namespace reference
