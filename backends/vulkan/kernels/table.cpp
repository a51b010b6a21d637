#include <array>

#include "backends/vulkan/kernels/kernel.h"

namespace vulkan {

lks_status require_hardware(const KernelRequest& request) {
  for (std::uint32_t i = 0; i < request.tensor_count(); ++i) {
    if (request.tensor(i).dtype != LKS_F64 || context_of(request).properties.has_f64) continue;
    return common::refuse(request.diag, LKS_REASON_HARDWARE, static_cast<int>(i), DRIVER_WHERE,
                          "the device has no f64 (shaderFloat64)");
  }
  return LKS_OK;
}

lks_status require_dense(const KernelRequest& request) {
  for (std::uint32_t i = 0; i < request.tensor_count(); ++i) {
    if (request.info.deps) request.info.deps[i].dense = 1;
    const lks_tensor_desc& t = request.tensor(i);
    if ((t.flags & LKS_TENSOR_OPTIONAL_ABSENT) || common::is_dense(t)) continue;
    return common::refuse(request.diag, LKS_REASON_LAYOUT, static_cast<int>(i), DRIVER_WHERE,
                          "%s: operand %u is strided", request.desc.op_name, i);
  }
  return LKS_OK;
}

namespace {

constexpr std::array rows = {
#define KERNEL(op, variant, make) KERNEL_ROW(op, variant, make),
#define KERNEL_FORM(op, variant, make, Form, form) KERNEL(op, variant, make<Form::form>)
#include "backends/vulkan/kernels/kernels.def"
#undef KERNEL_FORM
#undef KERNEL
};

}  // namespace

std::span<const common::KernelRow> kernels() { return rows; }

}  // namespace vulkan
