#include <array>

#include "backends/cpu/kernels.h"

namespace cpu {

std::span<const common::KernelRow> kernels() {
  static constexpr std::array rows = {
#define KERNEL(op, variant, make) KERNEL_ROW(op, variant, make),
#include "backends/cpu/kernels.def"
#undef KERNEL
  };
  return rows;
}

}  // namespace cpu
