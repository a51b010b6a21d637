// The kernel table, and the functions that make its kernels: those of kernels.def.
#pragma once

#include <memory>
#include <span>

#include "backends/cpu/element.h"
#include "backends/host/kernel.h"
#include "lockstep/driver_ops.h"

namespace cpu {

using common::KernelRequest;
using Out = std::unique_ptr<lks_kernel>*;

#define KERNEL(op, variant, make) lks_status make(const KernelRequest& request, Out out);
#include "backends/cpu/kernels.def"
#undef KERNEL

std::span<const common::KernelRow> kernels();

}  // namespace cpu
