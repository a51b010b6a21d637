#include <array>

#include "backends/cpu/kernels.h"

namespace cpu {

std::span<const common::KernelRow> kernels() {
  static constexpr std::array rows = {
    common::KernelRow{LKS_OP_POINTWISE, LKS_OP_POINTWISE_VERSION, "tile", &make_pointwise},
    common::KernelRow{LKS_OP_COPY, LKS_OP_COPY_VERSION, "block", &make_copy},
    common::KernelRow{LKS_OP_SUM, LKS_OP_SUM_VERSION, "lanes lockstep", &make_sum_lockstep},
    common::KernelRow{LKS_OP_SUM, LKS_OP_SUM_VERSION, "blocked", &make_sum},
    common::KernelRow{LKS_OP_MEAN, LKS_OP_MEAN_VERSION, "lanes lockstep", &make_mean_lockstep},
    common::KernelRow{LKS_OP_MEAN, LKS_OP_MEAN_VERSION, "blocked", &make_mean},
    common::KernelRow{LKS_OP_MAX, LKS_OP_MAX_VERSION, "blocked", &make_max},
    common::KernelRow{LKS_OP_MIN, LKS_OP_MIN_VERSION, "blocked", &make_min},
    common::KernelRow{LKS_OP_ARGMAX, LKS_OP_ARGMAX_VERSION, "blocked", &make_argmax},
    common::KernelRow{LKS_OP_SOFTMAX, LKS_OP_SOFTMAX_VERSION, "row lockstep", &make_softmax_lockstep},
    common::KernelRow{LKS_OP_SOFTMAX, LKS_OP_SOFTMAX_VERSION, "row", &make_softmax},
    common::KernelRow{LKS_OP_LOG_SOFTMAX, LKS_OP_LOG_SOFTMAX_VERSION, "row lockstep", &make_log_softmax_lockstep},
    common::KernelRow{LKS_OP_LOG_SOFTMAX, LKS_OP_LOG_SOFTMAX_VERSION, "row", &make_log_softmax},
    common::KernelRow{LKS_OP_SPARSE_CROSS_ENTROPY, LKS_OP_SPARSE_CROSS_ENTROPY_VERSION, "row lockstep",
                      &make_sparse_cross_entropy_lockstep},
    common::KernelRow{LKS_OP_SPARSE_CROSS_ENTROPY, LKS_OP_SPARSE_CROSS_ENTROPY_VERSION, "row",
                      &make_sparse_cross_entropy},
    common::KernelRow{LKS_OP_CROSS_ENTROPY, LKS_OP_CROSS_ENTROPY_VERSION, "row lockstep", &make_cross_entropy_lockstep},
    common::KernelRow{LKS_OP_CROSS_ENTROPY, LKS_OP_CROSS_ENTROPY_VERSION, "row", &make_cross_entropy},
    common::KernelRow{LKS_OP_GATHER, LKS_OP_GATHER_VERSION, "slice", &make_gather},
    common::KernelRow{LKS_OP_SCATTER_ADD, LKS_OP_SCATTER_ADD_VERSION, "slice", &make_scatter_add},
    common::KernelRow{LKS_OP_ONE_HOT, LKS_OP_ONE_HOT_VERSION, "slice", &make_one_hot},
    common::KernelRow{LKS_OP_ARGSORT, LKS_OP_ARGSORT_VERSION, "radix", &make_argsort},
    common::KernelRow{LKS_OP_RANDOM_BITS, LKS_OP_RANDOM_BITS_VERSION, "philox", &make_random_bits},
#if defined(LOCKSTEP_WITH_ONEDNN)
    common::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "onednn", &make_matmul_onednn},
    common::KernelRow{LKS_OP_CONV2D, LKS_OP_CONV2D_VERSION, "onednn", &make_conv2d_onednn},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_INPUT, LKS_OP_CONV2D_BACKWARD_INPUT_VERSION, "onednn",
                      &make_conv2d_backward_input_onednn},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_FILTER, LKS_OP_CONV2D_BACKWARD_FILTER_VERSION, "onednn",
                      &make_conv2d_backward_filter_onednn},
#endif
    common::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "rows lockstep", &make_skinny_matmul_lockstep},
    common::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "panel lockstep", &make_matmul_lockstep},
    common::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "panel", &make_matmul},
    common::KernelRow{LKS_OP_CONV2D, LKS_OP_CONV2D_VERSION, "panel lockstep", &make_conv2d_lockstep},
    common::KernelRow{LKS_OP_CONV2D, LKS_OP_CONV2D_VERSION, "panel", &make_conv2d},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_INPUT, LKS_OP_CONV2D_BACKWARD_INPUT_VERSION, "panel lockstep",
                      &make_conv2d_backward_input_lockstep},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_INPUT, LKS_OP_CONV2D_BACKWARD_INPUT_VERSION, "panel",
                      &make_conv2d_backward_input},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_FILTER, LKS_OP_CONV2D_BACKWARD_FILTER_VERSION, "panel lockstep",
                      &make_conv2d_backward_filter_lockstep},
    common::KernelRow{LKS_OP_CONV2D_BACKWARD_FILTER, LKS_OP_CONV2D_BACKWARD_FILTER_VERSION, "panel",
                      &make_conv2d_backward_filter},
    common::KernelRow{LKS_OP_MAX_POOL2D, LKS_OP_MAX_POOL2D_VERSION, "channels", &make_max_pool2d},
    common::KernelRow{LKS_OP_MAX_POOL2D_BACKWARD, LKS_OP_MAX_POOL2D_BACKWARD_VERSION, "channels",
                      &make_max_pool2d_backward},
    common::KernelRow{LKS_OP_MAX_POOL2D_GATHER, LKS_OP_MAX_POOL2D_GATHER_VERSION, "channels", &make_max_pool2d_gather},
    common::KernelRow{LKS_OP_AVG_POOL2D, LKS_OP_AVG_POOL2D_VERSION, "channels", &make_avg_pool2d},
    common::KernelRow{LKS_OP_AVG_POOL2D_BACKWARD, LKS_OP_AVG_POOL2D_BACKWARD_VERSION, "channels",
                      &make_avg_pool2d_backward},
  };
  return rows;
}

}  // namespace cpu
