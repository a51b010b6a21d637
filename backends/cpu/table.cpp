#include <array>

#include "backends/cpu/kernels.h"

namespace cpu {

std::span<const host::KernelRow> kernels() {
  static constexpr std::array rows = {
    host::KernelRow{LKS_OP_POINTWISE, LKS_OP_POINTWISE_VERSION, "tile", &make_pointwise},
    host::KernelRow{LKS_OP_COPY, LKS_OP_COPY_VERSION, "block", &make_copy},
    host::KernelRow{LKS_OP_SUM, LKS_OP_SUM_VERSION, "lanes lockstep", &make_sum_lockstep},
    host::KernelRow{LKS_OP_SUM, LKS_OP_SUM_VERSION, "blocked", &make_sum},
    host::KernelRow{LKS_OP_MEAN, LKS_OP_MEAN_VERSION, "lanes lockstep", &make_mean_lockstep},
    host::KernelRow{LKS_OP_MEAN, LKS_OP_MEAN_VERSION, "blocked", &make_mean},
    host::KernelRow{LKS_OP_MAX, LKS_OP_MAX_VERSION, "blocked", &make_max},
    host::KernelRow{LKS_OP_MIN, LKS_OP_MIN_VERSION, "blocked", &make_min},
    host::KernelRow{LKS_OP_ARGMAX, LKS_OP_ARGMAX_VERSION, "blocked", &make_argmax},
    host::KernelRow{LKS_OP_SOFTMAX, LKS_OP_SOFTMAX_VERSION, "row lockstep", &make_softmax_lockstep},
    host::KernelRow{LKS_OP_SOFTMAX, LKS_OP_SOFTMAX_VERSION, "row", &make_softmax},
    host::KernelRow{LKS_OP_LOG_SOFTMAX, LKS_OP_LOG_SOFTMAX_VERSION, "row lockstep", &make_log_softmax_lockstep},
    host::KernelRow{LKS_OP_LOG_SOFTMAX, LKS_OP_LOG_SOFTMAX_VERSION, "row", &make_log_softmax},
    host::KernelRow{LKS_OP_SPARSE_CROSS_ENTROPY, LKS_OP_SPARSE_CROSS_ENTROPY_VERSION, "row lockstep",
                    &make_sparse_cross_entropy_lockstep},
    host::KernelRow{LKS_OP_SPARSE_CROSS_ENTROPY, LKS_OP_SPARSE_CROSS_ENTROPY_VERSION, "row",
                    &make_sparse_cross_entropy},
    host::KernelRow{LKS_OP_CROSS_ENTROPY, LKS_OP_CROSS_ENTROPY_VERSION, "row lockstep", &make_cross_entropy_lockstep},
    host::KernelRow{LKS_OP_CROSS_ENTROPY, LKS_OP_CROSS_ENTROPY_VERSION, "row", &make_cross_entropy},
    host::KernelRow{LKS_OP_GATHER, LKS_OP_GATHER_VERSION, "slice", &make_gather},
    host::KernelRow{LKS_OP_SCATTER_ADD, LKS_OP_SCATTER_ADD_VERSION, "slice", &make_scatter_add},
    host::KernelRow{LKS_OP_ONE_HOT, LKS_OP_ONE_HOT_VERSION, "slice", &make_one_hot},
    host::KernelRow{LKS_OP_ARGSORT, LKS_OP_ARGSORT_VERSION, "radix", &make_argsort},
    host::KernelRow{LKS_OP_RANDOM_BITS, LKS_OP_RANDOM_BITS_VERSION, "philox", &make_random_bits},
#if defined(LOCKSTEP_WITH_ONEDNN)
    host::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "onednn", &make_matmul_onednn},
    host::KernelRow{LKS_OP_CONV2D, LKS_OP_CONV2D_VERSION, "onednn", &make_conv2d_onednn},
    host::KernelRow{LKS_OP_CONV2D_BACKWARD_INPUT, LKS_OP_CONV2D_BACKWARD_INPUT_VERSION, "onednn",
                    &make_conv2d_backward_input_onednn},
    host::KernelRow{LKS_OP_CONV2D_BACKWARD_FILTER, LKS_OP_CONV2D_BACKWARD_FILTER_VERSION, "onednn",
                    &make_conv2d_backward_filter_onednn},
#endif
    host::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "rows lockstep", &make_skinny_matmul_lockstep},
    host::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "panel lockstep", &make_matmul_lockstep},
    host::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "panel", &make_matmul},
    host::KernelRow{LKS_OP_CONV2D, LKS_OP_CONV2D_VERSION, "panel lockstep", &make_conv2d_lockstep},
    host::KernelRow{LKS_OP_CONV2D, LKS_OP_CONV2D_VERSION, "panel", &make_conv2d},
    host::KernelRow{LKS_OP_CONV2D_BACKWARD_INPUT, LKS_OP_CONV2D_BACKWARD_INPUT_VERSION, "panel lockstep",
                    &make_conv2d_backward_input_lockstep},
    host::KernelRow{LKS_OP_CONV2D_BACKWARD_INPUT, LKS_OP_CONV2D_BACKWARD_INPUT_VERSION, "panel",
                    &make_conv2d_backward_input},
    host::KernelRow{LKS_OP_CONV2D_BACKWARD_FILTER, LKS_OP_CONV2D_BACKWARD_FILTER_VERSION, "panel lockstep",
                    &make_conv2d_backward_filter_lockstep},
    host::KernelRow{LKS_OP_CONV2D_BACKWARD_FILTER, LKS_OP_CONV2D_BACKWARD_FILTER_VERSION, "panel",
                    &make_conv2d_backward_filter},
    host::KernelRow{LKS_OP_MAX_POOL2D, LKS_OP_MAX_POOL2D_VERSION, "channels", &make_max_pool2d},
    host::KernelRow{LKS_OP_MAX_POOL2D_BACKWARD, LKS_OP_MAX_POOL2D_BACKWARD_VERSION, "channels",
                    &make_max_pool2d_backward},
    host::KernelRow{LKS_OP_MAX_POOL2D_GATHER, LKS_OP_MAX_POOL2D_GATHER_VERSION, "channels", &make_max_pool2d_gather},
    host::KernelRow{LKS_OP_AVG_POOL2D, LKS_OP_AVG_POOL2D_VERSION, "channels", &make_avg_pool2d},
    host::KernelRow{LKS_OP_AVG_POOL2D_BACKWARD, LKS_OP_AVG_POOL2D_BACKWARD_VERSION, "channels",
                    &make_avg_pool2d_backward},
  };
  return rows;
}

}  // namespace cpu
