#include "backends/gpu/kernels/conv_trial.h"

#include "backends/gpu/ceil_div.h"

namespace gpu {

ConvTrial conv_trial(std::int64_t rows, std::int64_t columns, ConvPass pass, const ConvWindow& window) {
  const auto narrow = [](std::int64_t extent) { return static_cast<std::int32_t>(extent); };
  const std::int64_t depth = trial_depth;
  const std::int64_t stride = pass == ConvPass::backward_input ? window.strides[0] : 1;
  ConvSizes s{};
  s.batch = s.width = s.out_width = s.taps_high = s.taps_wide = s.dilation[0] = s.dilation[1] = 1;
  s.strides[0] = narrow(stride), s.strides[1] = stride > 1 ? window.strides[1] : 1;
  s.height = narrow(pass == ConvPass::backward_filter ? depth : rows);
  s.out_height = narrow(ceil_div(s.height, stride));
  s.channels = s.channels_per_group = narrow(pass == ConvPass::forward          ? depth
                                             : pass == ConvPass::backward_input ? columns
                                                                                : rows);
  s.filters = s.filters_per_group = narrow(pass == ConvPass::backward_input ? depth : columns);
  const ProductStrides strides[] = {
      {depth, 1, 1, depth, columns, 1}, {depth, 1, columns, 1, columns, 1, stride}, {1, rows, columns, 1, 1, rows}};
  return {s, strides[static_cast<int>(pass)]};
}

}  // namespace gpu
