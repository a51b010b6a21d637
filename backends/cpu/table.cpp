#include <array>

#include "backends/cpu/kernels.h"

namespace cpu {

std::span<const host::KernelRow> kernels() {
  static constexpr std::array rows = {
      host::KernelRow{LKS_OP_POINTWISE, LKS_OP_POINTWISE_VERSION, "tile", &make_pointwise},
      host::KernelRow{LKS_OP_COPY, LKS_OP_COPY_VERSION, "block", &make_copy},
  };
  return rows;
}

}  // namespace cpu
