#include <array>

#include "backends/reference/kernels/kernels.h"

namespace reference {

std::span<const common::KernelRow> kernels() {
  static constexpr std::array rows = {
      common::KernelRow{LKS_OP_POINTWISE, LKS_OP_POINTWISE_VERSION, "scalar", &make_pointwise},
      common::KernelRow{LKS_OP_COPY, LKS_OP_COPY_VERSION, "scalar", &make_copy},
      common::KernelRow{LKS_OP_SUM, LKS_OP_SUM_VERSION, "scalar", &make_sum},
      common::KernelRow{LKS_OP_MAX, LKS_OP_MAX_VERSION, "scalar", &make_max},
      common::KernelRow{LKS_OP_MIN, LKS_OP_MIN_VERSION, "scalar", &make_min},
      common::KernelRow{LKS_OP_ARGMAX, LKS_OP_ARGMAX_VERSION, "scalar", &make_argmax},
      common::KernelRow{LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "scalar", &make_matmul},
      common::KernelRow{LKS_OP_CONV2D, LKS_OP_CONV2D_VERSION, "scalar", &make_conv2d},
      common::KernelRow{LKS_OP_CONV2D_BACKWARD_INPUT, LKS_OP_CONV2D_BACKWARD_INPUT_VERSION, "scalar",
                        &make_conv2d_backward_input},
      common::KernelRow{LKS_OP_CONV2D_BACKWARD_FILTER, LKS_OP_CONV2D_BACKWARD_FILTER_VERSION, "scalar",
                        &make_conv2d_backward_filter},
      common::KernelRow{LKS_OP_MAX_POOL2D, LKS_OP_MAX_POOL2D_VERSION, "scalar", &make_max_pool2d},
      common::KernelRow{LKS_OP_MAX_POOL2D_BACKWARD, LKS_OP_MAX_POOL2D_BACKWARD_VERSION, "scalar",
                        &make_max_pool2d_backward},
      common::KernelRow{LKS_OP_AVG_POOL2D, LKS_OP_AVG_POOL2D_VERSION, "scalar", &make_avg_pool2d},
      common::KernelRow{LKS_OP_AVG_POOL2D_BACKWARD, LKS_OP_AVG_POOL2D_BACKWARD_VERSION, "scalar",
                        &make_avg_pool2d_backward},
      common::KernelRow{LKS_OP_GATHER, LKS_OP_GATHER_VERSION, "scalar", &make_gather},
      common::KernelRow{LKS_OP_SCATTER_ADD, LKS_OP_SCATTER_ADD_VERSION, "scalar", &make_scatter_add},
      common::KernelRow{LKS_OP_ARGSORT, LKS_OP_ARGSORT_VERSION, "scalar", &make_argsort},
      common::KernelRow{LKS_OP_RANDOM_BITS, LKS_OP_RANDOM_BITS_VERSION, "scalar", &make_random_bits},
  };
  return rows;
}

}  // namespace reference
