// The kernels, as makers for rows of the kernel table.
#pragma once

#include <memory>
#include <span>

#include "backends/cpu/element.h"
#include "backends/host/kernel.h"
#include "lockstep/driver_ops.h"

namespace cpu {

using host::KernelRequest;
using Out = std::unique_ptr<lks_kernel>*;

lks_status make_pointwise(const KernelRequest& request, Out out);
lks_status make_copy(const KernelRequest& request, Out out);

std::span<const host::KernelRow> kernels();

}  // namespace cpu
