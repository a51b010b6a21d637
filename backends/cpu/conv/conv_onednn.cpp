// f32 convolution by oneDNN. Images stay NHWC. Filters are small, so each launch reorders them into the layout that the
// primitive prefers. (With OHWI filters oneDNN 3.2 uses its slow reference code. Reordering images into the layout that
// it prefers costs more than it gains.)
//
// The implementations of oneDNN that use matrix products multiply the zeros of padding, which gives NaN if the other
// factor is infinite. Such calls are refused and run in the driver's own kernel.
#include <string_view>

#include "backends/cpu/conv/shape.h"
#include "backends/cpu/lockstep.h"
#include "backends/cpu/onednn/sequence.h"

namespace cpu {
namespace {

using dnnl::memory;
using onednn::Sequence;
using tag = memory::format_tag;
constexpr auto f32 = memory::data_type::f32;

// The convolution in oneDNN's terms. Its dilation counts the gaps between taps.
struct Descriptions {
  memory::desc image, result, filter, any_filter, bias;
  memory::dims strides, dilation, before, after;
  bool has_bias;

  Descriptions(const ConvShape& s, bool with_bias)
      : image({s.batch, s.channels, s.height, s.width}, f32, tag::nhwc),
        result({s.batch, s.filters, s.out_height, s.out_width}, f32, tag::nhwc),
        strides{s.stride[0], s.stride[1]},
        dilation{s.dilation[0] - 1, s.dilation[1] - 1},
        before{s.before[0], s.before[1]},
        after{s.after[0], s.after[1]},
        has_bias(with_bias) {
    const memory::dims plain{s.filters, s.channels, s.kernel_height, s.kernel_width};
    const memory::dims grouped{s.groups, s.filters_per_group(), s.channels_per_group(), s.kernel_height,
                               s.kernel_width};
    filter = s.groups == 1 ? memory::desc(plain, f32, tag::ohwi) : memory::desc(grouped, f32, tag::gohwi);
    any_filter = memory::desc(s.groups == 1 ? plain : grouped, f32, tag::any);
    if (with_bias) bias = memory::desc({s.filters}, f32, tag::a);
  }
};

dnnl::convolution_forward::primitive_desc forward(const Sequence& sequence, const Descriptions& d, std::uint32_t mode) {
  return {sequence.engine(),
          dnnl::prop_kind::forward_training,
          dnnl::algorithm::convolution_direct,
          d.image,
          d.any_filter,
          d.bias,
          d.result,
          d.strides,
          d.dilation,
          d.before,
          d.after,
          onednn::attributes(mode)};
}

// The filter as an argument of the primitive: reordered first, unless the primitive accepts OHWI.
onednn::Argument filter_argument(Sequence& sequence, const Descriptions& d, const memory::desc& wanted,
                                 std::size_t tensor) {
  if (wanted == d.filter) return {DNNL_ARG_WEIGHTS, wanted, onednn::tensor(tensor)};
  const onednn::Location location = sequence.reserve(wanted.get_size());
  sequence.add_reorder(d.filter, onednn::tensor(tensor), wanted, location);
  return {DNNL_ARG_WEIGHTS, wanted, location};
}

void add_forward(Sequence& sequence, const Descriptions& d, const ConvTensors& at, std::uint32_t mode) {
  const auto pd = forward(sequence, d, mode);
  std::vector<onednn::Argument> arguments = {{DNNL_ARG_SRC, d.image, onednn::tensor(at.image)},
                                             filter_argument(sequence, d, pd.weights_desc(), at.filter),
                                             {DNNL_ARG_DST, d.result, onednn::tensor(at.result)}};
  if (d.has_bias) arguments.push_back({DNNL_ARG_BIAS, d.bias, onednn::tensor(2)});
  sequence.add(dnnl::convolution_forward(pd), pd.scratchpad_desc(), std::move(arguments));
}

void add_backward_input(Sequence& sequence, const Descriptions& d, const ConvTensors& at, std::uint32_t mode) {
  const dnnl::convolution_backward_data::primitive_desc pd(
      sequence.engine(), dnnl::algorithm::convolution_direct, d.image, d.any_filter, d.result, d.strides, d.dilation,
      d.before, d.after, forward(sequence, d, mode), onednn::attributes(mode));
  const onednn::Argument filter = filter_argument(sequence, d, pd.weights_desc(), at.filter);
  sequence.add(dnnl::convolution_backward_data(pd), pd.scratchpad_desc(),
               {{DNNL_ARG_DIFF_DST, d.result, onednn::tensor(at.result)},
                filter,
                {DNNL_ARG_DIFF_SRC, d.image, onednn::tensor(at.image)}});
}

dnnl::convolution_backward_weights::primitive_desc backward_filter(const Sequence& sequence, const Descriptions& d,
                                                                   std::uint32_t mode) {
  return {sequence.engine(),
          dnnl::algorithm::convolution_direct,
          d.image,
          d.any_filter,
          d.result,
          d.strides,
          d.dilation,
          d.before,
          d.after,
          forward(sequence, d, mode),
          onednn::attributes(mode)};
}

void add_backward_filter(Sequence& sequence, const Descriptions& d, const ConvTensors& at, std::uint32_t mode) {
  const auto pd = backward_filter(sequence, d, mode);
  const memory::desc made = pd.diff_weights_desc();
  const bool direct = made == d.filter;
  const onednn::Location location = direct ? onednn::tensor(at.filter) : sequence.reserve(made.get_size());
  sequence.add(dnnl::convolution_backward_weights(pd), pd.scratchpad_desc(),
               {{DNNL_ARG_SRC, d.image, onednn::tensor(at.image)},
                {DNNL_ARG_DIFF_DST, d.result, onednn::tensor(at.result)},
                {DNNL_ARG_DIFF_WEIGHTS, made, location}});
  if (!direct) sequence.add_reorder(made, location, d.filter, onednn::tensor(at.filter));
}

bool multiplies_padding(const ConvShape& s, bool bias, ConvPass pass, std::uint32_t mode) {
  // For the image's gradient, oneDNN computes the products first and skips those that fall on padding.
  const bool padded = s.before[0] + s.before[1] + s.after[0] + s.after[1] > 0;
  if (!padded || pass == ConvPass::backward_input) return false;
  const Sequence sequence;
  const Descriptions d(s, bias);
  const auto by_products = [](const auto& pd) {
    return std::string_view(pd.impl_info_str()).find("gemm") != std::string_view::npos;
  };
  try {
    return pass == ConvPass::forward ? by_products(forward(sequence, d, mode))
                                     : by_products(backward_filter(sequence, d, mode));
  } catch (const dnnl::error&) {
    return false;  // make_kernel reports the error
  }
}

lks_status make(const KernelRequest& request, Out out, ConvPass pass) {
  if (const lks_status status = refuse_lockstep(request); status != LKS_OK) return status;
  ConvShape shape;
  if (const lks_status status = read_conv(request, pass, {LKS_F32}, shape); status != LKS_OK) return status;
  if (shape.empty()) {
    return common::refuse(request.diag, LKS_REASON_SIZE, -1, DRIVER_WHERE, "oneDNN does not serve empty convolutions");
  }
  const bool bias = pass == ConvPass::forward && request.has_input(2);
  const ConvTensors at = conv_tensors(pass, request.desc.input_count);
  const std::uint32_t mode = request.desc.math_mode;
  if (multiplies_padding(shape, bias, pass, mode)) {
    return common::refuse(request.diag, LKS_REASON_SIZE, -1, DRIVER_WHERE, "oneDNN would multiply the padding");
  }
  const lks_status status = onednn::make_kernel(request, out, [=] {
    auto sequence = std::make_unique<Sequence>();
    const Descriptions d(shape, bias);
    switch (pass) {
      case ConvPass::forward: add_forward(*sequence, d, at, mode); break;
      case ConvPass::backward_input: add_backward_input(*sequence, d, at, mode); break;
      case ConvPass::backward_filter: add_backward_filter(*sequence, d, at, mode); break;
    }
    return sequence;
  });
  if (status == LKS_OK) depend_on_dense_extents(request);
  return status;
}

}  // namespace

lks_status make_conv2d_onednn(const KernelRequest& request, Out out) { return make(request, out, ConvPass::forward); }
lks_status make_conv2d_backward_input_onednn(const KernelRequest& request, Out out) {
  return make(request, out, ConvPass::backward_input);
}
lks_status make_conv2d_backward_filter_onednn(const KernelRequest& request, Out out) {
  return make(request, out, ConvPass::backward_filter);
}

}  // namespace cpu
