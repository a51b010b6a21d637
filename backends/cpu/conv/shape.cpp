#include "backends/cpu/conv/shape.h"

namespace cpu {
namespace {

template <class Attrs>
void read_attrs(const KernelRequest& request, ConvShape& s) {
  const auto& a = request.attrs<Attrs>();
  for (int side = 0; side < 2; ++side) {
    s.stride[side] = a.strides.values[side];
    s.dilation[side] = a.dilation.values[side];
    s.before[side] = a.padding.values[2 * side];
    s.after[side] = a.padding.values[2 * side + 1];
  }
  s.groups = a.groups;
}

}  // namespace

lks_status read_conv(const KernelRequest& request, ConvPass pass, std::initializer_list<lks_dtype> allowed,
                     ConvShape& shape) {
  if (const lks_status status = common::require_dtypes(request, allowed); status != LKS_OK) return status;
  const std::size_t inputs = request.desc.input_count;
  const auto tensor = [&](std::size_t i) -> const lks_tensor_desc& {
    return request.tensor(static_cast<std::uint32_t>(i));
  };
  for (std::size_t i = 0; i < inputs + 1; ++i) {
    if ((tensor(i).flags & LKS_TENSOR_OPTIONAL_ABSENT) || common::is_dense(tensor(i))) continue;
    return common::refuse(request.diag, LKS_REASON_LAYOUT, static_cast<int>(i), DRIVER_WHERE,
                          "operand %zu is not dense", i);
  }
  const ConvTensors at = conv_tensors(pass, inputs);
  const std::int64_t *x = tensor(at.image).dims, *w = tensor(at.filter).dims, *y = tensor(at.result).dims;
  shape.batch = x[0], shape.height = x[1], shape.width = x[2], shape.channels = x[3];
  shape.filters = w[0], shape.kernel_height = w[1], shape.kernel_width = w[2];
  shape.out_height = y[1], shape.out_width = y[2];
  switch (pass) {
    case ConvPass::forward: read_attrs<lks_conv2d_attrs>(request, shape); break;
    case ConvPass::backward_input: read_attrs<lks_conv2d_backward_input_attrs>(request, shape); break;
    case ConvPass::backward_filter: read_attrs<lks_conv2d_backward_filter_attrs>(request, shape); break;
  }
  return LKS_OK;
}

void depend_on_dense_extents(const KernelRequest& request) {
  if (!request.info.deps) return;
  for (std::uint32_t i = 0; i < request.tensor_count(); ++i) {
    request.info.deps[i].dims = ~0u;
    request.info.deps[i].dense = 1;
  }
}

}  // namespace cpu
