// softmax, log_softmax and the cross-entropy losses of dense tensors, in one dispatch. Results are bit-identical to
// those of their decompositions.
#include <algorithm>
#include <bit>

#include "backends/vulkan/kernels/kernel.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

// shaders/softmax.glsl
struct Params {
  VkDeviceAddress to, from, beside;
  std::int64_t rows, extent, step;
  std::uint32_t log_chunks_at_once, wide_labels;
};

constexpr std::int64_t chunk = 1024, slots = 8, serial_group = 64;

struct FormShaders {
  Shader f32, f64;
};
struct OpShaders {
  FormShaders serial, rows;
};
#define SOFTMAX_SHADERS(op)                                                                 \
  constexpr OpShaders op##_shaders = {{shaders::op##_serial_f32, shaders::op##_serial_f64}, \
                                      {shaders::op##_rows_f32, shaders::op##_rows_f64}};
SOFTMAX_SHADERS(softmax)
SOFTMAX_SHADERS(log_softmax)
SOFTMAX_SHADERS(sparse_cross_entropy)
SOFTMAX_SHADERS(cross_entropy)

class SoftmaxKernel : public lks_kernel {
 public:
  SoftmaxKernel(const Pipeline& pipeline, int axis, SoftmaxForm form) : pipeline_(pipeline), axis_(axis), form_(form) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor x = tensor(launch, 0), to = tensor(launch, dtypes.size() - 1);
    Params p{};
    p.from = x.address;
    p.to = to.address;
    p.extent = x.dims[axis_];
    p.step = 1;
    for (int d = axis_ + 1; d < x.rank; ++d) p.step *= x.dims[d];
    p.rows = p.extent == 0 ? 0 : x.count() / p.extent;
    Access accesses[] = {x.access(false), to.access(true), {}};
    if (dtypes.size() == 3) {
      const Tensor beside = tensor(launch, 1);
      p.beside = beside.address;
      p.wide_labels = beside.dtype == LKS_I64;
      accesses[2] = beside.access(false);
    }
    const auto chunks = static_cast<std::uint64_t>(ceil_div(p.extent, chunk));
    const std::int64_t at_once = std::min(slots, static_cast<std::int64_t>(std::bit_ceil(chunks)));
    p.log_chunks_at_once = static_cast<std::uint32_t>(std::countr_zero(static_cast<std::uint64_t>(at_once)));
    const std::int64_t rows_per_group = form_ == SoftmaxForm::serial ? serial_group : slots / at_once;
    plan.dispatch(pipeline_, p, plan.groups_for(p.rows, rows_per_group), accesses);
  }

 private:
  const Pipeline& pipeline_;
  const int axis_;
  const SoftmaxForm form_;
};

// The longest row of each form. Ops with even longer rows are decomposed: see max_iterations.
constexpr std::int64_t longest_serial = 64, longest = std::int64_t{1} << 21;

lks_status require_length(const KernelRequest& r, SoftmaxForm form, std::int64_t extent) {
  const bool is_serial = extent <= longest_serial;
  if (extent <= longest && is_serial == (form == SoftmaxForm::serial) && extent > 0) return LKS_OK;
  return common::refuse(r.diag, LKS_REASON_SIZE, 0, DRIVER_WHERE, "%s: rows of %lld elements are not for this form",
                        r.desc.op_name, static_cast<long long>(extent));
}

lks_status make(const KernelRequest& r, Out out, const OpShaders& op, std::int64_t axis, SoftmaxForm form) {
  lks_status s = require_hardware(r);
  if (s == LKS_OK) s = require_dense(r);
  if (s == LKS_OK) s = require_length(r, form, r.input(0).dims[axis]);
  if (s != LKS_OK) return s;
  const lks_dtype t = r.input(0).dtype;
  r.info.accumulate_dtype = t;
  r.info.order = LKS_ORDER_BLOCKED;
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  if (r.info.deps) r.info.deps[0].dims = 1u << axis;
  if (!out) return LKS_OK;
  lks_device& device = *context_of(r).device;
  const FormShaders& variants = form == SoftmaxForm::serial ? op.serial : op.rows;
  const Pipeline& pipeline =
      device.pipelines.get(t == LKS_F64 ? variants.f64 : variants.f32, device.arithmetic.constants());
  common::emplace<SoftmaxKernel>(r, out, pipeline, static_cast<int>(axis), form);
  return LKS_OK;
}

lks_status make_along_axis(const KernelRequest& r, Out out, const OpShaders& op, SoftmaxForm form) {
  if (const lks_status s = common::require_dtypes(r, {LKS_F32, LKS_F64}); s != LKS_OK) return s;
  return make(r, out, op, r.attrs<lks_softmax_attrs>().axis, form);
}

}  // namespace

template <SoftmaxForm form>
lks_status make_softmax(const KernelRequest& r, Out out) {
  return make_along_axis(r, out, softmax_shaders, form);
}
template <SoftmaxForm form>
lks_status make_log_softmax(const KernelRequest& r, Out out) {
  return make_along_axis(r, out, log_softmax_shaders, form);
}
template <SoftmaxForm form>
lks_status make_sparse_cross_entropy(const KernelRequest& r, Out out) {
  if (const lks_dtype t = r.input(0).dtype; t != LKS_F32 && t != LKS_F64) {
    return common::refuse(r.diag, LKS_REASON_DTYPE, 0, DRIVER_WHERE, "logits are f32 or f64");
  }
  return make(r, out, sparse_cross_entropy_shaders, r.input(0).rank - 1, form);
}
template <SoftmaxForm form>
lks_status make_cross_entropy(const KernelRequest& r, Out out) {
  if (const lks_status s = common::require_dtypes(r, {LKS_F32, LKS_F64}); s != LKS_OK) return s;
  return make(r, out, cross_entropy_shaders, r.input(0).rank - 1, form);
}

#define INSTANTIATE(form)                                                         \
  template lks_status make_softmax<form>(const KernelRequest&, Out);              \
  template lks_status make_log_softmax<form>(const KernelRequest&, Out);          \
  template lks_status make_sparse_cross_entropy<form>(const KernelRequest&, Out); \
  template lks_status make_cross_entropy<form>(const KernelRequest&, Out);
INSTANTIATE(SoftmaxForm::serial)
INSTANTIATE(SoftmaxForm::rows)

}  // namespace vulkan
