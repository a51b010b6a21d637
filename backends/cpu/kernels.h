// The functions that make kernels, one for each row of the kernel table.
#pragma once

#include <memory>
#include <span>

#include "backends/cpu/element.h"
#include "backends/host/kernel.h"
#include "lockstep/driver_ops.h"

namespace cpu {

using common::KernelRequest;
using Out = std::unique_ptr<lks_kernel>*;

lks_status make_pointwise(const KernelRequest& request, Out out);
lks_status make_copy(const KernelRequest& request, Out out);
lks_status make_sum(const KernelRequest& request, Out out);
lks_status make_sum_lockstep(const KernelRequest& request, Out out);
lks_status make_mean(const KernelRequest& request, Out out);
lks_status make_mean_lockstep(const KernelRequest& request, Out out);
lks_status make_max(const KernelRequest& request, Out out);
lks_status make_min(const KernelRequest& request, Out out);
lks_status make_argmax(const KernelRequest& request, Out out);
lks_status make_softmax(const KernelRequest& request, Out out);
lks_status make_softmax_lockstep(const KernelRequest& request, Out out);
lks_status make_log_softmax(const KernelRequest& request, Out out);
lks_status make_log_softmax_lockstep(const KernelRequest& request, Out out);
lks_status make_sparse_cross_entropy(const KernelRequest& request, Out out);
lks_status make_sparse_cross_entropy_lockstep(const KernelRequest& request, Out out);
lks_status make_cross_entropy(const KernelRequest& request, Out out);
lks_status make_cross_entropy_lockstep(const KernelRequest& request, Out out);
lks_status make_gather(const KernelRequest& request, Out out);
lks_status make_scatter_add(const KernelRequest& request, Out out);
lks_status make_one_hot(const KernelRequest& request, Out out);
lks_status make_argsort(const KernelRequest& request, Out out);
lks_status make_random_bits(const KernelRequest& request, Out out);

lks_status make_matmul(const KernelRequest& request, Out out);
lks_status make_skinny_matmul_lockstep(const KernelRequest& request, Out out);
lks_status make_matmul_lockstep(const KernelRequest& request, Out out);
lks_status make_conv2d(const KernelRequest& request, Out out);
lks_status make_conv2d_backward_input(const KernelRequest& request, Out out);
lks_status make_conv2d_backward_filter(const KernelRequest& request, Out out);
lks_status make_conv2d_lockstep(const KernelRequest& request, Out out);
lks_status make_conv2d_backward_input_lockstep(const KernelRequest& request, Out out);
lks_status make_conv2d_backward_filter_lockstep(const KernelRequest& request, Out out);
#if defined(LOCKSTEP_WITH_ONEDNN)
lks_status make_matmul_onednn(const KernelRequest& request, Out out);
lks_status make_conv2d_onednn(const KernelRequest& request, Out out);
lks_status make_conv2d_backward_input_onednn(const KernelRequest& request, Out out);
lks_status make_conv2d_backward_filter_onednn(const KernelRequest& request, Out out);
#endif
lks_status make_max_pool2d(const KernelRequest& request, Out out);
lks_status make_max_pool2d_backward(const KernelRequest& request, Out out);
lks_status make_max_pool2d_gather(const KernelRequest& request, Out out);
lks_status make_avg_pool2d(const KernelRequest& request, Out out);
lks_status make_avg_pool2d_backward(const KernelRequest& request, Out out);

std::span<const common::KernelRow> kernels();

}  // namespace cpu
