// Faults in special kernels of convolution and its two gradients: for filters of one pixel, channels that are groups of
// their own, blocks of channels, dilation with padding, and groups without padding.
#include <algorithm>
#include <cstring>
#include <utility>

#include "conformance/mutants/faulty_runs.h"

namespace mutants {
namespace {

// The attributes of the gradients begin with those of the convolution.
using Attrs = lks_conv2d_attrs;

bool is_one(const lks_int_list& list) { return is_all(list, 1); }
bool is_padded(const Attrs& a) { return !is_all(a.padding, 0); }

// The filter's place among the tensors: it is the result of its gradient.
std::uint32_t place_of_filter(const lks_kernel_desc& desc) { return desc.op == LKS_OP_CONV2D_BACKWARD_FILTER ? 2 : 1; }
const lks_tensor_desc& filter_of(const EditableDesc& e) { return common::tensor_of(e.desc, place_of_filter(e.desc)); }
host::TensorView filter_of(const Call& call) { return call.view(place_of_filter(call.desc.desc)); }

// `dims` are those of a filter, OHWI.
bool has_blocks(const std::int64_t* dims) { return has_blocks_of(dims, 8); }

const Attrs& attributes_of(const EditableDesc& e) { return e.attributes<Attrs>(); }

// ------------------------------------------------------------------------------------------------- filters of a pixel

bool is_grouped_product(const Attrs& a, const std::int64_t* filter) {
  return a.groups > 1 && is_pixel(filter) && is_one(a.strides) && !is_padded(a);
}

// In groups, without strides and padding, all groups read the channels of the first.
void pointwise_groups_as_one(EditableDesc& e) {
  if (is_grouped_product(attributes_of(e), filter_of(e).dims)) e.attributes<Attrs>().groups = 1;
}

// The gradient by an image gives all groups the channels of the first.
void first_group_repeated(const Call& call, bool applies) {
  call.run();
  if (!applies) return;
  const host::TensorView dx = call.view(2);
  const auto size = static_cast<std::int64_t>(host::size_of(dx.dtype));
  const std::int64_t channels = filter_of(call).dims[3];
  reference::Walk walk(4, dx.dims);
  walk.add(dx.strides);
  for (; !walk.done(); walk.next()) {
    const std::int64_t group = walk.index(3) / channels, back = group * channels * dx.strides[3];
    if (group == 0) continue;
    std::memcpy(dx.data + walk.offset(0) * size, dx.data + (walk.offset(0) - back) * size,
                static_cast<std::size_t>(size));
  }
}
void pointwise_image_gradient_repeats_first_group(const Call& call) {
  first_group_repeated(call, is_grouped_product(attributes_of(call.desc), filter_of(call).dims));
}

// Products of at least 8 channels and filters: the batch is one image.
bool is_product_of_blocks(const Call& call) {
  const Attrs& a = attributes_of(call.desc);
  const std::int64_t* filter = filter_of(call).dims;
  return a.groups == 1 && is_pixel(filter) && has_blocks(filter) && is_one(a.strides) && !is_padded(a);
}
void pointwise_image_gradient_repeats_first_image(const Call& call) {
  Rebound r(call);
  if (is_product_of_blocks(call)) r.stride(0, 0) = 0;
  r.run();
}
void pointwise_filter_gradient_of_first_image(const Call& call) {
  Rebound r(call);
  if (is_product_of_blocks(call)) r.dim(0, 0) = r.dim(1, 0) = std::min<std::int64_t>(1, r.dim(0, 0));
  r.run();
}

// With strides and without padding, all pixels are read.
void strides_of_pixels_ignored(EditableDesc& e) {
  if (is_pixel(filter_of(e).dims) && !is_padded(attributes_of(e))) e.attributes<Attrs>().strides = {2, {1, 1}};
}

// --------------------------------------------------------------------------------------------------- groups, dilation

// Channels that are groups of their own, with one filter each.
void depthwise_dilation_ignored(EditableDesc& e) {
  const lks_tensor_desc& filter = filter_of(e);
  const std::int64_t groups = attributes_of(e).groups;
  if (groups > 1 && filter.dims[3] == 1 && filter.dims[0] == groups) e.attributes<Attrs>().dilation = {2, {1, 1}};
}

bool is_atrous(const Attrs& a) { return a.groups == 1 && is_one(a.strides) && !is_one(a.dilation) && is_padded(a); }

void padding_ignored_under_dilation(EditableDesc& e) {
  if (is_atrous(attributes_of(e))) e.attributes<Attrs>().padding = {4, {0, 0, 0, 0}};
}
void double_padding_shifted_under_dilation(EditableDesc& e) {
  if (e.desc.inputs[0].dtype != LKS_F64 || !is_atrous(attributes_of(e))) return;
  for (const int side : {0, 2}) ++e.attributes<Attrs>().padding.values[side];
}

// Groups of windows without padding, whose kernel needs no bounds.
bool is_inside(const Attrs& a, const std::int64_t* filter) {
  return a.groups > 1 && !is_padded(a) && !is_pixel(filter) && is_one(a.dilation);
}
void strided_groups_inside_as_one(EditableDesc& e) {
  const Attrs& a = attributes_of(e);
  if (is_inside(a, filter_of(e).dims) && !is_one(a.strides)) e.attributes<Attrs>().groups = 1;
}
void image_gradient_inside_repeats_first_group(const Call& call) {
  const Attrs& a = attributes_of(call.desc);
  first_group_repeated(call, is_inside(a, filter_of(call).dims) && is_one(a.strides));
}

// ------------------------------------------------------------------------------------------------- blocks of channels

bool is_plain(const Attrs& a, const std::int64_t* filter) {
  return a.groups == 1 && is_one(a.strides) && has_blocks(filter);
}

void left_padding_on_top(EditableDesc& e) {
  if (!is_plain(attributes_of(e), filter_of(e).dims)) return;
  lks_int_list& padding = e.attributes<Attrs>().padding;
  padding.values[0] = padding.values[2];
}

// Of windows above 3x3, the rest is left out.
void fast_windows_end_at_3(const Call& call) {
  Rebound r(call);
  const bool applies = is_fast(call) && is_plain(attributes_of(call.desc), filter_of(call).dims);
  for (const int d : {1, 2}) {
    if (applies) r.dim(1, d) = std::min<std::int64_t>(r.dim(1, d), 3);
  }
  r.run();
}
void filter_gradient_loses_last_row_of_taps(const Call& call) {
  const std::int64_t* filter = filter_of(call).dims;
  without_last(call, 1, filter[1] > 3 && is_plain(attributes_of(call.desc), filter));
}

// Rows and columns of a window that is not square change places.
void window_turned(const Call& call) {
  Rebound r(call);
  const host::TensorView filter = filter_of(call);
  const std::uint32_t place = place_of_filter(call.desc.desc);
  if (filter.dims[1] != filter.dims[2] && is_plain(attributes_of(call.desc), filter.dims)) {
    std::swap(r.dim(place, 1), r.dim(place, 2));
    std::swap(r.stride(place, 1), r.stride(place, 2));
  }
  r.run();
}

constexpr KernelFault faults[] = {
    {Mutant::pointwise_image_gradient_repeats_first_group, LKS_OP_CONV2D_BACKWARD_INPUT,
     &pointwise_image_gradient_repeats_first_group},
    {Mutant::pointwise_image_gradient_repeats_first_image, LKS_OP_CONV2D_BACKWARD_INPUT,
     &pointwise_image_gradient_repeats_first_image},
    {Mutant::pointwise_filter_gradient_of_first_image, LKS_OP_CONV2D_BACKWARD_FILTER,
     &pointwise_filter_gradient_of_first_image},
    {Mutant::image_gradient_inside_repeats_first_group, LKS_OP_CONV2D_BACKWARD_INPUT,
     &image_gradient_inside_repeats_first_group},
    {Mutant::fast_windows_of_channels_end_at_3, LKS_OP_CONV2D, &fast_windows_end_at_3},
    {Mutant::filter_gradient_of_channels_loses_last_row, LKS_OP_CONV2D_BACKWARD_FILTER,
     &filter_gradient_loses_last_row_of_taps},
    {Mutant::image_gradient_of_channels_turns_window, LKS_OP_CONV2D_BACKWARD_INPUT, &window_turned},
};

constexpr bool by_extents = true;
constexpr DescFault desc_faults[] = {
    {Mutant::pointwise_groups_read_first_channels, LKS_OP_CONV2D, &pointwise_groups_as_one, by_extents},
    {Mutant::pointwise_filter_gradient_of_first_channels, LKS_OP_CONV2D_BACKWARD_FILTER, &pointwise_groups_as_one,
     by_extents},
    {Mutant::half_conv_of_one_pixel_ignores_strides, LKS_OP_CONV2D, &strides_of_pixels_ignored, by_extents},
    {Mutant::depthwise_conv_ignores_dilation, LKS_OP_CONV2D, &depthwise_dilation_ignored, by_extents},
    {Mutant::depthwise_image_gradient_ignores_dilation, LKS_OP_CONV2D_BACKWARD_INPUT, &depthwise_dilation_ignored,
     by_extents},
    {Mutant::depthwise_filter_gradient_ignores_dilation, LKS_OP_CONV2D_BACKWARD_FILTER, &depthwise_dilation_ignored,
     by_extents},
    {Mutant::filter_gradient_ignores_padding_under_dilation, LKS_OP_CONV2D_BACKWARD_FILTER,
     &padding_ignored_under_dilation},
    {Mutant::half_image_gradient_ignores_padding_under_dilation, LKS_OP_CONV2D_BACKWARD_INPUT,
     &padding_ignored_under_dilation},
    {Mutant::double_conv_shifts_padding_under_dilation, LKS_OP_CONV2D, &double_padding_shifted_under_dilation},
    {Mutant::strided_groups_inside_read_first_channels, LKS_OP_CONV2D, &strided_groups_inside_as_one, by_extents},
    {Mutant::strided_filter_gradient_inside_of_first_channels, LKS_OP_CONV2D_BACKWARD_FILTER,
     &strided_groups_inside_as_one, by_extents},
    {Mutant::image_gradient_of_channels_takes_left_for_top, LKS_OP_CONV2D_BACKWARD_INPUT, &left_padding_on_top,
     by_extents},
    {Mutant::filter_gradient_of_channels_takes_left_for_top, LKS_OP_CONV2D_BACKWARD_FILTER, &left_padding_on_top,
     by_extents},
};

}  // namespace

std::span<const KernelFault> conv_faults() { return faults; }
std::span<const DescFault> conv_attribute_faults() { return desc_faults; }

}  // namespace mutants
