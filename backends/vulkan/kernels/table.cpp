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
    common::KernelRow{LKS_OP_POINTWISE, LKS_OP_POINTWISE_VERSION, "linear", &make_pointwise_linear},
    common::KernelRow{LKS_OP_POINTWISE, LKS_OP_POINTWISE_VERSION, "strided", &make_pointwise_strided},
    common::KernelRow{LKS_OP_COPY, LKS_OP_COPY_VERSION, "strided", &make_copy},
    common::KernelRow{LKS_OP_SUM, LKS_OP_SUM_VERSION, "serial", &make_sum<ReduceForm::serial>},
    common::KernelRow{LKS_OP_SUM, LKS_OP_SUM_VERSION, "tiles", &make_sum<ReduceForm::tiles>},
    common::KernelRow{LKS_OP_SUM, LKS_OP_SUM_VERSION, "segments", &make_sum<ReduceForm::segments>},
    common::KernelRow{LKS_OP_MEAN, LKS_OP_MEAN_VERSION, "serial", &make_mean<ReduceForm::serial>},
    common::KernelRow{LKS_OP_MEAN, LKS_OP_MEAN_VERSION, "tiles", &make_mean<ReduceForm::tiles>},
    common::KernelRow{LKS_OP_MEAN, LKS_OP_MEAN_VERSION, "segments", &make_mean<ReduceForm::segments>},
    common::KernelRow{LKS_OP_MAX, LKS_OP_MAX_VERSION, "serial", &make_max<ReduceForm::serial>},
    common::KernelRow{LKS_OP_MAX, LKS_OP_MAX_VERSION, "tiles", &make_max<ReduceForm::tiles>},
    common::KernelRow{LKS_OP_MAX, LKS_OP_MAX_VERSION, "segments", &make_max<ReduceForm::segments>},
    common::KernelRow{LKS_OP_MIN, LKS_OP_MIN_VERSION, "serial", &make_min<ReduceForm::serial>},
    common::KernelRow{LKS_OP_MIN, LKS_OP_MIN_VERSION, "tiles", &make_min<ReduceForm::tiles>},
    common::KernelRow{LKS_OP_MIN, LKS_OP_MIN_VERSION, "segments", &make_min<ReduceForm::segments>},
    common::KernelRow{LKS_OP_ARGMAX, LKS_OP_ARGMAX_VERSION, "serial", &make_argmax<ReduceForm::serial>},
    common::KernelRow{LKS_OP_ARGMAX, LKS_OP_ARGMAX_VERSION, "tiles", &make_argmax<ReduceForm::tiles>},
    common::KernelRow{LKS_OP_ARGMAX, LKS_OP_ARGMAX_VERSION, "segments", &make_argmax<ReduceForm::segments>},
    common::KernelRow{LKS_OP_MAX_POOL2D, LKS_OP_MAX_POOL2D_VERSION, "dense", &make_max_pool2d},
    common::KernelRow{LKS_OP_MAX_POOL2D_BACKWARD, LKS_OP_MAX_POOL2D_BACKWARD_VERSION, "dense",
                      &make_max_pool2d_backward},
    common::KernelRow{LKS_OP_MAX_POOL2D_GATHER, LKS_OP_MAX_POOL2D_GATHER_VERSION, "dense", &make_max_pool2d_gather},
    common::KernelRow{LKS_OP_AVG_POOL2D, LKS_OP_AVG_POOL2D_VERSION, "dense", &make_avg_pool2d},
    common::KernelRow{LKS_OP_AVG_POOL2D_BACKWARD, LKS_OP_AVG_POOL2D_BACKWARD_VERSION, "dense",
                      &make_avg_pool2d_backward},
    common::KernelRow{LKS_OP_SOFTMAX, LKS_OP_SOFTMAX_VERSION, "serial", &make_softmax<SoftmaxForm::serial>},
    common::KernelRow{LKS_OP_SOFTMAX, LKS_OP_SOFTMAX_VERSION, "rows", &make_softmax<SoftmaxForm::rows>},
    common::KernelRow{LKS_OP_LOG_SOFTMAX, LKS_OP_LOG_SOFTMAX_VERSION, "serial", &make_log_softmax<SoftmaxForm::serial>},
    common::KernelRow{LKS_OP_LOG_SOFTMAX, LKS_OP_LOG_SOFTMAX_VERSION, "rows", &make_log_softmax<SoftmaxForm::rows>},
    common::KernelRow{LKS_OP_SPARSE_CROSS_ENTROPY, LKS_OP_SPARSE_CROSS_ENTROPY_VERSION, "serial",
                      &make_sparse_cross_entropy<SoftmaxForm::serial>},
    common::KernelRow{LKS_OP_SPARSE_CROSS_ENTROPY, LKS_OP_SPARSE_CROSS_ENTROPY_VERSION, "rows",
                      &make_sparse_cross_entropy<SoftmaxForm::rows>},
    common::KernelRow{LKS_OP_CROSS_ENTROPY, LKS_OP_CROSS_ENTROPY_VERSION, "serial",
                      &make_cross_entropy<SoftmaxForm::serial>},
    common::KernelRow{LKS_OP_CROSS_ENTROPY, LKS_OP_CROSS_ENTROPY_VERSION, "rows",
                      &make_cross_entropy<SoftmaxForm::rows>},
    common::KernelRow{LKS_OP_GATHER, LKS_OP_GATHER_VERSION, "dense", &make_gather},
    common::KernelRow{LKS_OP_SCATTER_ADD, LKS_OP_SCATTER_ADD_VERSION, "walk", &make_scatter_add_walk},
    common::KernelRow{LKS_OP_SCATTER_ADD, LKS_OP_SCATTER_ADD_VERSION, "sorted", &make_scatter_add_sorted},
    common::KernelRow{LKS_OP_ONE_HOT, LKS_OP_ONE_HOT_VERSION, "dense", &make_one_hot},
    common::KernelRow{LKS_OP_ARGSORT, LKS_OP_ARGSORT_VERSION, "radix", &make_argsort},
    common::KernelRow{LKS_OP_RANDOM_BITS, LKS_OP_RANDOM_BITS_VERSION, "blocks", &make_random_bits},
    common::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "lanes", &make_matmul<ProductAlgorithm::lanes>},
    common::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "matrices", &make_matmul<ProductAlgorithm::matrices>},
    common::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "blocks", &make_matmul<ProductAlgorithm::blocks>},
    common::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "subgroups", &make_matmul<ProductAlgorithm::subgroups>},
    common::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "simple", &make_matmul<ProductAlgorithm::element>},
    common::KernelRow{LKS_OP_CONV2D, LKS_OP_CONV2D_VERSION, "lanes", &make_conv2d<ProductAlgorithm::lanes>},
    common::KernelRow{LKS_OP_CONV2D, LKS_OP_CONV2D_VERSION, "matrices", &make_conv2d<ProductAlgorithm::matrices>},
    common::KernelRow{LKS_OP_CONV2D, LKS_OP_CONV2D_VERSION, "blocks", &make_conv2d<ProductAlgorithm::blocks>},
    common::KernelRow{LKS_OP_CONV2D, LKS_OP_CONV2D_VERSION, "depthwise", &make_conv2d<ProductAlgorithm::depthwise>},
    common::KernelRow{LKS_OP_CONV2D, LKS_OP_CONV2D_VERSION, "simple", &make_conv2d<ProductAlgorithm::element>},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_INPUT, LKS_OP_CONV2D_BACKWARD_INPUT_VERSION, "lanes",
                      &make_conv2d_backward_input<ProductAlgorithm::lanes>},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_INPUT, LKS_OP_CONV2D_BACKWARD_INPUT_VERSION, "matrices",
                      &make_conv2d_backward_input<ProductAlgorithm::matrices>},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_INPUT, LKS_OP_CONV2D_BACKWARD_INPUT_VERSION, "blocks",
                      &make_conv2d_backward_input<ProductAlgorithm::blocks>},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_INPUT, LKS_OP_CONV2D_BACKWARD_INPUT_VERSION, "depthwise",
                      &make_conv2d_backward_input<ProductAlgorithm::depthwise>},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_INPUT, LKS_OP_CONV2D_BACKWARD_INPUT_VERSION, "simple",
                      &make_conv2d_backward_input<ProductAlgorithm::element>},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_FILTER, LKS_OP_CONV2D_BACKWARD_FILTER_VERSION, "lanes",
                      &make_conv2d_backward_filter<ProductAlgorithm::lanes>},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_FILTER, LKS_OP_CONV2D_BACKWARD_FILTER_VERSION, "matrices",
                      &make_conv2d_backward_filter<ProductAlgorithm::matrices>},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_FILTER, LKS_OP_CONV2D_BACKWARD_FILTER_VERSION, "blocks",
                      &make_conv2d_backward_filter<ProductAlgorithm::blocks>},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_FILTER, LKS_OP_CONV2D_BACKWARD_FILTER_VERSION, "depthwise",
                      &make_conv2d_backward_filter<ProductAlgorithm::depthwise>},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_FILTER, LKS_OP_CONV2D_BACKWARD_FILTER_VERSION, "simple",
                      &make_conv2d_backward_filter<ProductAlgorithm::element>},
};

}  // namespace

std::span<const common::KernelRow> kernels() { return rows; }

}  // namespace vulkan
