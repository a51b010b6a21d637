// The micro-kernel without contraction: lockstep mode rounds each product before it is added. This costs little on
// processors that multiply and add in separate pipelines.
#include "backends/cpu/linalg/micro_kernel_body.h"

namespace cpu {

INSTANTIATE_MICRO_KERNEL(float, Products::separate);
INSTANTIATE_MICRO_KERNEL(double, Products::separate);

}  // namespace cpu
