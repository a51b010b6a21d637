// one_hot: rows of zeros with a one at the label, or without a one if the label is out of range.
#include <cstring>

#include "backends/cpu/index/indices.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/pointwise/half_width.h"
#include "backends/cpu/reduce/nest.h"

namespace cpu {
namespace {

/// The bits of 1 in a dtype.
std::uint64_t one_in(lks_dtype t) {
  switch (t) {
    case LKS_F32: return std::bit_cast<std::uint32_t>(1.0f);
    case LKS_F64: return std::bit_cast<std::uint64_t>(1.0);
    case LKS_F16: return narrow_to_half(1.0f).bits;
    case LKS_BF16: return narrow_to_bfloat(1.0f).bits;
    default: return 1;
  }
}

class OneHotKernel : public lks_kernel {
 public:
  OneHotKernel(const lks_host_api& api, std::int64_t depth) : api_(api), depth_(depth) {}

  void run(const lks_launch& launch) const override {
    const host::TensorView labels = view(launch, 0), out = view(launch, 1);
    if (out.count() == 0) return;
    with_index_type(labels.dtype, [&](auto index) {
      with_width(bytes_of(out.dtype),
                 [&](auto element) { fill(labels, labels.as<decltype(index)>(), out, out.as<decltype(element)>()); });
    });
  }

 private:
  template <class I, class E>
  void fill(const host::TensorView& labels, const I* label, const host::TensorView& out, E* to) const {
    Nest positions;
    std::int64_t step = depth_;  // the output is dense
    for (int d = labels.rank - 1; d >= 0; --d) {
      positions.insert(labels.dims[d], labels.strides[d], step);
      step *= labels.dims[d];
    }
    positions.merge();
    const E one = static_cast<E>(one_in(out.dtype));
    const double ns = 2 + 0.05 * static_cast<double>(depth_) * sizeof(E);
    parallel(api_, positions.count(), grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const Nest::Offsets at = positions.offsets(i);
        const auto value = static_cast<std::int64_t>(label[at.in]);
        std::memset(to + at.out, 0, static_cast<std::size_t>(depth_) * sizeof(E));
        if (value >= 0 && value < depth_) to[at.out + value] = one;
      }
    });
  }

  const lks_host_api& api_;
  std::int64_t depth_;
};

}  // namespace

lks_status make_one_hot(const KernelRequest& request, Out out) {
  if (!common::is_dense(request.output(0))) {
    return common::refuse(request.diag, LKS_REASON_LAYOUT, -1, DRIVER_WHERE, "the output is not dense");
  }
  if (request.info.deps) request.info.deps[1].dense = 1;
  common::emplace<OneHotKernel>(request, out, request.api, request.attrs<lks_one_hot_attrs>().depth);
  return LKS_OK;
}

}  // namespace cpu
