// Kernels of this driver, and what the functions in its kernel table are passed.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "backends/common/kernel_table.h"
#include "backends/vulkan/queue/plan.h"
#include "lockstep/driver_ops.h"

/// A prepared kernel. Immutable, so many threads may launch it at once.
struct lks_kernel {
  virtual ~lks_kernel() = default;

  /// Plans the dispatches of a launch. Throws Failure.
  virtual void plan(vulkan::Plan& plan, const lks_launch& launch) const = 0;

  std::vector<lks_dtype> dtypes;  // of inputs, then outputs
  std::vector<int> ranks;

  vulkan::Tensor tensor(const lks_launch& launch, std::size_t i) const {
    const lks_binding& b = launch.bindings[i];
    const auto bytes = static_cast<VkDeviceAddress>(b.offset * static_cast<std::int64_t>(vulkan::size_of(dtypes[i])));
    return {b.buffer->address + bytes, b.dims, b.strides, ranks[i], dtypes[i]};
  }
};

namespace vulkan {

using common::KernelRequest;
using Out = std::unique_ptr<lks_kernel>*;

/// The context of the kernel table.
struct KernelContext {
  const DeviceProperties& properties;
  lks_device* device;  // null if only a query is answered
};

inline const KernelContext& context_of(const KernelRequest& request) {
  return *static_cast<const KernelContext*>(request.context);
}

/// Refuses f64 with LKS_REASON_HARDWARE if the device has none.
lks_status require_hardware(const KernelRequest& request);
/// Refuses operands that are not dense and row-major with LKS_REASON_LAYOUT: the host then makes them so.
lks_status require_dense(const KernelRequest& request);

std::span<const common::KernelRow> kernels();

/// The algorithm of a reduction, chosen by size (kernels/reduce.cpp): one invocation per output; workgroups that reduce
/// tiles of outputs; workgroups that reduce segments of few outputs, which a second dispatch joins.
enum class ReduceForm { serial, tiles, segments };
/// The algorithm of a matrix product, or of a convolution as a matrix product: shaders/product_*.glsl,
/// conv_depthwise.comp, conv_filter_depthwise.comp.
enum class ProductAlgorithm : std::uint8_t { element, lanes, blocks, subgroups, matrices, depthwise };
/// One invocation per row, or workgroups that take several short rows or one long one.
enum class SoftmaxForm { serial, rows };

#define KERNEL(op, variant, make) lks_status make(const KernelRequest& request, Out out);
#define KERNEL_FORM(op, variant, make, Form, form) \
  template <Form>                                  \
  lks_status make(const KernelRequest& request, Out out);
#include "backends/vulkan/kernels/kernels.def"
#undef KERNEL_FORM
#undef KERNEL

}  // namespace vulkan
