// The micro-kernel with contraction allowed (see CMakeLists.txt): in matrix products, unlike pointwise arithmetic,
// strict mode lets a multiplication and an addition round once.
#include "backends/cpu/linalg/micro_kernel_body.h"

namespace cpu {

INSTANTIATE_MICRO_KERNEL(float, Products::fused);
INSTANTIATE_MICRO_KERNEL(double, Products::fused);
INSTANTIATE_MICRO_KERNEL(std::uint32_t, Products::fused);
INSTANTIATE_MICRO_KERNEL(std::uint64_t, Products::fused);

}  // namespace cpu
