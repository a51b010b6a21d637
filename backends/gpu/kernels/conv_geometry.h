// A convolution and its two gradients: which operand is what, and the matrix product that each of them is. Images are
// NHWC, filters OHWI.
#pragma once

#include "backends/common/kernel_table.h"
#include "backends/gpu/kernels/product_partition.h"

namespace gpu {

enum class ConvPass { forward, backward_input, backward_filter };

/// Which tensors are the image, the filters and the output of the convolution. `result` is the number of the tensor
/// that the kernel writes.
struct ConvOperands {
  std::size_t image, filters, output;

  ConvOperands(ConvPass pass, std::size_t result);
};

/// The attributes that the three ops share. Of two numbers, the first is vertical.
struct ConvWindow {
  std::int32_t strides[2], dilation[2], before[2], groups;  // before: padding at the top and left

  ConvWindow(const common::KernelRequest& request, ConvPass pass);
};

/// The extents of the image, the filters and the output.
struct ConvExtents {
  const std::int64_t *image, *filters, *output;

  ConvExtents(const common::KernelRequest& request, ConvPass pass);
};

/// The numbers that kernels need. They have the same layout (vulkan/shaders/conv_params.glsl).
struct ConvSizes {
  std::int32_t batch, height, width, channels;
  std::int32_t filters, taps_high, taps_wide;
  std::int32_t out_height, out_width;
  std::int32_t channels_per_group, filters_per_group;
  std::int32_t strides[2], dilation[2], before[2];
};

/// `image`, `filters` and `output` are extents; is_countable() is true for them.
ConvSizes conv_sizes(const std::int64_t* image, const std::int64_t* filters, const std::int64_t* output,
                     const ConvWindow& window);

/// The convolution as a batched matrix product, with one batch element per group.
ProductShape product_shape(const ConvExtents& extents, ConvPass pass, const ConvWindow& window);

/// Whether some pixel has a tap without a term: outside the image or, in the gradient of the image, without an output.
bool may_lack_terms(const ConvExtents& extents, ConvPass pass, const ConvWindow& window);

/// Whether 31 bits suffice to count the elements of an image, of an output and of the filters, and the rows and
/// positions of the product.
bool is_countable(const ConvExtents& extents, const ProductShape& shape);

}  // namespace gpu
