// The trial of a kernel that computes convolutions as products (product_trial.h): a convolution that is a small
// product.
#pragma once

#include "backends/gpu/kernels/conv_geometry.h"
#include "backends/gpu/kernels/product_trial.h"

namespace gpu {

struct ConvTrial {
  ConvSizes sizes;
  ProductStrides strides;
};

/// `rows` and `columns` are those of a tile. The image has width 1 and the filters a single tap, so that the rows,
/// positions and columns of the product are the pixels, channels and filters, in an order that depends on the pass. The
/// strides are those that the kernel may be compiled for: in the gradient of the image, only every stride-th row has an
/// output.
ConvTrial conv_trial(std::int64_t rows, std::int64_t columns, ConvPass pass, const ConvWindow& window);

}  // namespace gpu
