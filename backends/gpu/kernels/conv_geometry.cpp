#include "backends/gpu/kernels/conv_geometry.h"

#include <limits>

#include "lockstep/driver_ops.h"

namespace gpu {
namespace {

std::int32_t narrow(std::int64_t extent) { return static_cast<std::int32_t>(extent); }

template <class Attrs>
void read_attributes(const common::KernelRequest& request, ConvWindow& window) {
  const auto& a = request.attrs<Attrs>();
  for (int side = 0; side < 2; ++side) {
    window.strides[side] = narrow(a.strides.values[side]);
    window.dilation[side] = narrow(a.dilation.values[side]);
    window.before[side] = narrow(a.padding.values[2 * side]);
  }
  window.groups = narrow(a.groups);
}

}  // namespace

ConvOperands::ConvOperands(ConvPass pass, std::size_t result)
    : image(pass == ConvPass::backward_input ? result : 0),
      filters(pass == ConvPass::backward_filter ? result : 1),
      output(pass == ConvPass::forward          ? result
             : pass == ConvPass::backward_input ? 0
                                                : 1) {}

ConvWindow::ConvWindow(const common::KernelRequest& request, ConvPass pass) {
  switch (pass) {
    case ConvPass::forward: read_attributes<lks_conv2d_attrs>(request, *this); break;
    case ConvPass::backward_input: read_attributes<lks_conv2d_backward_input_attrs>(request, *this); break;
    case ConvPass::backward_filter: read_attributes<lks_conv2d_backward_filter_attrs>(request, *this); break;
  }
}

ConvExtents::ConvExtents(const common::KernelRequest& request, ConvPass pass) {
  const ConvOperands at(pass, request.desc.input_count);
  const auto dims = [&](std::size_t i) { return request.tensor(static_cast<std::uint32_t>(i)).dims; };
  image = dims(at.image), filters = dims(at.filters), output = dims(at.output);
}

ConvSizes conv_sizes(const std::int64_t* image, const std::int64_t* filters, const std::int64_t* output,
                     const ConvWindow& window) {
  ConvSizes s{};
  s.batch = narrow(image[0]), s.height = narrow(image[1]), s.width = narrow(image[2]), s.channels = narrow(image[3]);
  s.filters = narrow(filters[0]), s.taps_high = narrow(filters[1]), s.taps_wide = narrow(filters[2]);
  s.out_height = narrow(output[1]), s.out_width = narrow(output[2]);
  s.channels_per_group = s.channels / window.groups, s.filters_per_group = s.filters / window.groups;
  for (int side = 0; side < 2; ++side) {
    s.strides[side] = window.strides[side];
    s.dilation[side] = window.dilation[side];
    s.before[side] = window.before[side];
  }
  return s;
}

ProductShape product_shape(const ConvExtents& extents, ConvPass pass, const ConvWindow& window) {
  const auto [x, w, y] = extents;
  const std::int64_t taps = w[1] * w[2], channels = x[3] / window.groups, filters = w[0] / window.groups;
  switch (pass) {
    case ConvPass::backward_input: return {window.groups, x[0] * x[1] * x[2], channels, taps * filters};
    case ConvPass::backward_filter: return {window.groups, taps * channels, filters, y[0] * y[1] * y[2]};
    default: return {window.groups, y[0] * y[1] * y[2], filters, taps * channels};
  }
}

bool may_lack_terms(const ConvExtents& extents, ConvPass pass, const ConvWindow& window) {
  const auto [x, w, y] = extents;
  for (int side = 0; side < 2; ++side) {
    const std::int64_t reach = (w[1 + side] - 1) * window.dilation[side];
    const std::int64_t last = (y[1 + side] - 1) * window.strides[side] - window.before[side] + reach;
    if (window.before[side] > 0 || last >= x[1 + side]) return true;
    if (pass == ConvPass::backward_input && (reach > 0 || window.strides[side] > 1)) return true;
  }
  return false;
}

bool is_countable(const ConvExtents& extents, const ProductShape& shape) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  const auto [x, w, y] = extents;
  return x[1] * x[2] * x[3] <= most && y[1] * y[2] * y[3] <= most && w[0] * w[1] * w[2] * w[3] <= most &&
         shape.rows <= most && shape.depth <= most;
}

}  // namespace gpu
