// The shape and attributes of a convolution, for its three passes.
#pragma once

#include "backends/cpu/kernels.h"

namespace cpu {

enum class ConvPass { forward, backward_input, backward_filter };

/// Images are NHWC, filters OHWI; all dense.
struct ConvShape {
  std::int64_t batch, height, width, channels;  // of the image
  std::int64_t filters, kernel_height, kernel_width;
  std::int64_t out_height, out_width;
  std::int64_t groups;
  std::int64_t stride[2], dilation[2];  // height, width
  std::int64_t before[2], after[2];     // padding

  std::int64_t channels_per_group() const { return channels / groups; }
  std::int64_t filters_per_group() const { return filters / groups; }
  bool empty() const {
    return batch * height * width * channels == 0 || filters * kernel_height * kernel_width == 0 ||
           out_height * out_width == 0;
  }
};

/// Which of a kernel's tensors are the image, the filter and the result of the convolution.
struct ConvTensors {
  std::size_t image, filter, result;
};

constexpr ConvTensors conv_tensors(ConvPass pass, std::size_t output) {
  switch (pass) {
    case ConvPass::backward_input: return {output, 1, 0};
    case ConvPass::backward_filter: return {0, output, 1};
    default: return {0, 1, output};
  }
}

/// Reads the shape; refuses dtypes other than `allowed` and tensors that are not dense.
lks_status read_conv(const KernelRequest& request, ConvPass pass, std::initializer_list<lks_dtype> allowed,
                     ConvShape& shape);

/// Declares that the kernel depends on all extents and on the tensors being dense.
void depend_on_dense_extents(const KernelRequest& request);

}  // namespace cpu
