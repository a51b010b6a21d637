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

lks_status make_pointwise_linear(const KernelRequest& request, Out out);
lks_status make_pointwise_strided(const KernelRequest& request, Out out);
lks_status make_copy(const KernelRequest& request, Out out);
/// The algorithm of a reduction, chosen by size (kernels/reduce.cpp): one invocation per output; workgroups that reduce
/// tiles of outputs; workgroups that reduce segments of few outputs, which a second dispatch joins.
enum class ReduceForm { serial, tiles, segments };
template <ReduceForm form>
lks_status make_sum(const KernelRequest& request, Out out);
template <ReduceForm form>
lks_status make_mean(const KernelRequest& request, Out out);
template <ReduceForm form>
lks_status make_max(const KernelRequest& request, Out out);
template <ReduceForm form>
lks_status make_min(const KernelRequest& request, Out out);
template <ReduceForm form>
lks_status make_argmax(const KernelRequest& request, Out out);
/// The algorithm of a matrix product, or of a convolution as a matrix product: shaders/product_*.glsl,
/// conv_depthwise.comp, conv_filter_depthwise.comp.
enum class ProductAlgorithm : std::uint8_t { element, lanes, blocks, subgroups, matrices, depthwise };
template <ProductAlgorithm algorithm>
lks_status make_matmul(const KernelRequest& request, Out out);
template <ProductAlgorithm algorithm>
lks_status make_conv2d(const KernelRequest& request, Out out);
template <ProductAlgorithm algorithm>
lks_status make_conv2d_backward_input(const KernelRequest& request, Out out);
template <ProductAlgorithm algorithm>
lks_status make_conv2d_backward_filter(const KernelRequest& request, Out out);
lks_status make_max_pool2d(const KernelRequest& request, Out out);
lks_status make_max_pool2d_backward(const KernelRequest& request, Out out);
lks_status make_max_pool2d_gather(const KernelRequest& request, Out out);
lks_status make_avg_pool2d(const KernelRequest& request, Out out);
lks_status make_avg_pool2d_backward(const KernelRequest& request, Out out);
/// One invocation per row, or workgroups that take several short rows or one long one.
enum class SoftmaxForm { serial, rows };
template <SoftmaxForm form>
lks_status make_softmax(const KernelRequest& request, Out out);
template <SoftmaxForm form>
lks_status make_log_softmax(const KernelRequest& request, Out out);
template <SoftmaxForm form>
lks_status make_sparse_cross_entropy(const KernelRequest& request, Out out);
template <SoftmaxForm form>
lks_status make_cross_entropy(const KernelRequest& request, Out out);
lks_status make_gather(const KernelRequest& request, Out out);
lks_status make_scatter_add_walk(const KernelRequest& request, Out out);
lks_status make_scatter_add_sorted(const KernelRequest& request, Out out);
lks_status make_one_hot(const KernelRequest& request, Out out);
lks_status make_argsort(const KernelRequest& request, Out out);
lks_status make_random_bits(const KernelRequest& request, Out out);

}  // namespace vulkan
