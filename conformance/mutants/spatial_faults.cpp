// Kernels with one fault each for convolutions over one to three axes, which the correct driver lacks and the runtime
// decomposes.
#include <algorithm>

#include "backends/reference/kernels/kernels.h"
#include "conformance/mutants/mutant.h"

namespace mutants {
namespace {

using Attrs = lks_conv_attrs;

float number_at(const host::TensorView& t, std::int64_t offset) { return t.as<float>()[offset]; }

// Adds the products of one tap, unless it is in the padding. `image` and `filter` are the offsets of the batch and of
// the first of the group's channels, and of the filter.
void add_tap(const Attrs& a, const host::TensorView& x, const host::TensorView& w, const reference::Walk& out,
             const reference::Walk& tap, std::int64_t image, std::int64_t filter, double& sum) {
  const int axes = x.rank - 2;
  for (int s = 0; s < axes; ++s) {
    const std::int64_t at =
        out.index(s + 1) * a.strides.values[s] - a.padding.values[2 * s] + tap.index(s) * a.dilation.values[s];
    if (at < 0 || at >= x.dims[s + 1]) return;
    image += at * x.strides[s + 1];
  }
  for (std::int64_t c = 0; c < w.dims[axes + 1]; ++c) {
    sum += static_cast<double>(number_at(x, image + c * x.strides[axes + 1])) *
           static_cast<double>(number_at(w, filter + tap.offset(0) + c * w.strides[axes + 1]));
  }
}

void convolve(const Call& call, const Attrs& a) {
  const host::TensorView x = call.view(0), w = call.view(1), y = call.view(3);
  const bool has_bias = call.launch.bindings[2].buffer != nullptr;
  const int axes = x.rank - 2, channels = axes + 1;
  const std::int64_t per_group = w.dims[0] / a.groups;
  reference::Walk out(y.rank, y.dims);
  out.add(y.strides);
  for (; !out.done(); out.next()) {
    const std::int64_t filter = out.index(channels);
    const std::int64_t image =
        out.index(0) * x.strides[0] + filter / per_group * w.dims[channels] * x.strides[channels];
    double sum = 0;
    reference::Walk tap(axes, w.dims + 1);
    tap.add(w.strides + 1);
    for (; !tap.done(); tap.next()) add_tap(a, x, w, out, tap, image, filter * w.strides[0], sum);
    const float rounded = static_cast<float>(sum);
    y.as<float>()[out.offset(0)] =
        has_bias ? rounded + number_at(call.view(2), filter * call.view(2).strides[0]) : rounded;
  }
}

// Over one axis, what is dilated is not padded.
void line_conv_ignores_padding_under_dilation(const Call& call) {
  Attrs a = call.desc.attributes<Attrs>();
  if (call.view(0).rank == 3 && a.dilation.values[0] > 1) a.padding = {2, {0, 0}};
  convolve(call, a);
}

// Over one axis, filters of one channel each are not dilated.
void line_depthwise_conv_ignores_dilation(const Call& call) {
  Attrs a = call.desc.attributes<Attrs>();
  if (call.view(0).rank == 3 && a.groups > 1 && call.view(1).dims[2] == 1) a.dilation = {1, {1}};
  convolve(call, a);
}

// Filters of one pixel take no strides.
void conv_of_points_ignores_strides(const Call& call) {
  Attrs a = call.desc.attributes<Attrs>();
  const host::TensorView w = call.view(1);
  const bool points = std::all_of(w.dims + 1, w.dims + w.rank - 1, [](std::int64_t extent) { return extent == 1; });
  if (points) std::fill_n(a.strides.values, a.strides.count, std::int64_t{1});
  convolve(call, a);
}

constexpr KernelFault faults[] = {
    {Mutant::line_conv_ignores_padding_under_dilation, LKS_OP_CONV, &line_conv_ignores_padding_under_dilation},
    {Mutant::line_depthwise_conv_ignores_dilation, LKS_OP_CONV, &line_depthwise_conv_ignores_dilation},
    {Mutant::conv_of_points_ignores_strides, LKS_OP_CONV, &conv_of_points_ignores_strides},
};

}  // namespace

std::span<const KernelFault> spatial_faults() { return faults; }

}  // namespace mutants
