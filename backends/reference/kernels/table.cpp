#include <array>

#include "backends/reference/kernels/kernels.h"

namespace reference {

std::span<const common::KernelRow> kernels() {
  static constexpr std::array rows = {
#define KERNEL(op, variant, make) KERNEL_ROW(op, variant, make),
#include "backends/reference/kernels/kernels.def"
#undef KERNEL
  };
  return rows;
}

}  // namespace reference
