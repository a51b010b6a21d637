#include "backends/gpu/kernels/conv_geometry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "backends/gpu/kernels/conv_trial.h"
#include "lockstep/driver_ops.h"

namespace gpu {
namespace {

constexpr ConvPass passes[] = {ConvPass::forward, ConvPass::backward_input, ConvPass::backward_filter};

// A request for one of the three ops, with strides (2, 1), padding 1 at the top and 2 groups.
class Request {
 public:
  explicit Request(ConvPass pass) {
    std::memset(&desc_, 0, sizeof desc_);
    std::memset(tensors_.data(), 0, sizeof tensors_);
    const ConvOperands at(pass, 2);
    set(at.image, {3, 8, 5, 4});
    set(at.filters, {6, 3, 1, 2});
    set(at.output, {3, 4, 5, 6});
    desc_.inputs = tensors_.data();
    desc_.input_count = 2;
    desc_.outputs = tensors_.data() + 2;
    desc_.output_count = 1;
    switch (pass) {
      case ConvPass::forward: set_attributes(forward_); break;
      case ConvPass::backward_input: set_attributes(backward_input_); break;
      case ConvPass::backward_filter: set_attributes(backward_filter_); break;
    }
  }

  common::KernelRequest get() { return {api_, desc_, info_, &diag_}; }

 private:
  void set(std::size_t i, const std::array<std::int64_t, 4>& dims) {
    tensors_[i].hdr.size = sizeof(lks_tensor_desc);
    tensors_[i].rank = 4;
    std::copy(dims.begin(), dims.end(), tensors_[i].dims);
  }

  template <class Attrs>
  void set_attributes(Attrs& a) {
    a.strides = {2, {2, 1}};
    a.dilation = {2, {1, 1}};
    a.padding = {4, {1, 0, 0, 0}};
    a.groups = 2;
    desc_.attrs = &a;
    desc_.attrs_size = sizeof a;
  }

  lks_host_api api_{};
  lks_kernel_desc desc_;
  std::array<lks_tensor_desc, 3> tensors_;
  lks_kernel_info info_{};
  lks_diag diag_{};
  lks_conv2d_attrs forward_{};
  lks_conv2d_backward_input_attrs backward_input_{};
  lks_conv2d_backward_filter_attrs backward_filter_{};
};

TEST(ConvGeometry, finds_the_operands_and_attributes_of_each_pass) {
  for (const ConvPass pass : passes) {
    Request request(pass);
    const ConvWindow window(request.get(), pass);
    const ConvExtents e(request.get(), pass);
    const ConvSizes sizes = conv_sizes(e.image, e.filters, e.output, window);
    EXPECT_EQ(sizes.height, 8);
    EXPECT_EQ(sizes.taps_high, 3);
    EXPECT_EQ(sizes.out_height, 4);
    EXPECT_EQ(sizes.channels_per_group, 2);
    EXPECT_EQ(sizes.filters_per_group, 3);
    EXPECT_EQ(sizes.strides[0], 2);
    EXPECT_EQ(sizes.strides[1], 1);
    EXPECT_EQ(sizes.before[0], 1);
    EXPECT_EQ(sizes.before[1], 0);
  }
}

TEST(ConvGeometry, knows_the_product_that_each_pass_is) {
  const std::int64_t rows[] = {3 * 4 * 5, 3 * 8 * 5, 3 * 2}, columns[] = {3, 2, 3}, depth[] = {3 * 2, 3 * 3, 3 * 4 * 5};
  for (int i = 0; i < 3; ++i) {
    Request request(passes[i]);
    const ConvWindow window(request.get(), passes[i]);
    const ConvExtents extents(request.get(), passes[i]);
    const ProductShape shape = product_shape(extents, passes[i], window);
    EXPECT_EQ(shape.batch, 2);
    EXPECT_EQ(shape.rows, rows[i]);
    EXPECT_EQ(shape.columns, columns[i]);
    EXPECT_EQ(shape.depth, depth[i]);
    EXPECT_TRUE(may_lack_terms(extents, passes[i], window));
    EXPECT_TRUE(is_countable(extents, shape));
  }
}

// The convolution of a trial, computed in double: one tap and width 1, so each output pixel reads one image pixel.
std::vector<float> convolve(const ConvSizes& s, ConvPass pass, const float* left, const float* right) {
  const ConvOperands at(pass, 2);
  const float* const operands[] = {left, right, nullptr};
  const float *const x = operands[at.image], *const w = operands[at.filters], *const y = operands[at.output];
  const std::int64_t channels = s.channels, filters = s.filters;
  std::vector<double> sums(static_cast<std::size_t>(pass == ConvPass::forward          ? s.out_height * filters
                                                    : pass == ConvPass::backward_input ? s.height * channels
                                                                                       : filters * channels));
  for (std::int64_t row = 0; row < s.out_height; ++row) {
    for (std::int64_t f = 0; f < filters; ++f) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t in_image = row * s.strides[0] * channels + c, in_filter = f * channels + c,
                           in_output = row * filters + f;
        if (pass == ConvPass::forward) {
          sums[static_cast<std::size_t>(in_output)] += static_cast<double>(x[in_image]) * w[in_filter];
        } else if (pass == ConvPass::backward_input) {
          sums[static_cast<std::size_t>(in_image)] += static_cast<double>(y[in_output]) * w[in_filter];
        } else {
          sums[static_cast<std::size_t>(in_filter)] += static_cast<double>(x[in_image]) * y[in_output];
        }
      }
    }
  }
  return {sums.begin(), sums.end()};
}

TEST(ConvTrial, is_passed_by_an_exact_convolution) {
  constexpr std::int64_t rows = 9, columns = 4;
  for (const ConvPass pass : passes) {
    Request request(pass);
    const ConvTrial trial = conv_trial(rows, columns, pass, ConvWindow(request.get(), pass));
    for (const TrialUnits& units : trial_units) {
      ProductTrial product({1, rows, columns, trial_depth}, trial.strides, units, false);
      std::vector<float> memory(product.bytes() / sizeof(float));
      product.write_operands(reinterpret_cast<std::byte*>(memory.data()));
      const std::vector<float> result =
          convolve(trial.sizes, pass, memory.data(), memory.data() + product.right_offset() / sizeof(float));
      ASSERT_EQ(result.size() * sizeof(float), product.result_bytes());
      std::memcpy(product.result(), result.data(), product.result_bytes());
      EXPECT_TRUE(product.is_exact());
    }
  }
}

}  // namespace
}  // namespace gpu
