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
lks_status make_sum(const KernelRequest& request, Out out);
lks_status make_mean(const KernelRequest& request, Out out);
lks_status make_max(const KernelRequest& request, Out out);
lks_status make_min(const KernelRequest& request, Out out);
lks_status make_argmax(const KernelRequest& request, Out out);
lks_status make_softmax(const KernelRequest& request, Out out);
lks_status make_log_softmax(const KernelRequest& request, Out out);
lks_status make_sparse_cross_entropy(const KernelRequest& request, Out out);
lks_status make_cross_entropy(const KernelRequest& request, Out out);
lks_status make_gather(const KernelRequest& request, Out out);
lks_status make_scatter_add(const KernelRequest& request, Out out);
lks_status make_argsort(const KernelRequest& request, Out out);
lks_status make_random_bits(const KernelRequest& request, Out out);

std::span<const host::KernelRow> kernels();

}  // namespace cpu
