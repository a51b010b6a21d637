// Faults in the semantics of single ops: ties, padding, indices, random bits, attributes.
#include <cmath>
#include <cstring>

#include "conformance/mutants/terms.h"
#include "ops/scalar/dialect_cpp.h"

namespace mutants {
namespace {

#include "ops/scalar/philox.inc"

// --------------------------------------------------------------------------------------------------------- extremes

// NaN is ignored, as by a chain of `if (v > best)`.
void max_drops_nan(const Call& call) {
  const host::TensorView in = call.view(0);
  if (in.dtype != LKS_F32) return call.run();
  Rebound r(call);
  r.convert(0, [](float x) { return std::isnan(x) ? -INFINITY : x; });
  r.run();
}

void min_confuses_zeros(const Call& call) {
  Rebound r(call);
  r.convert(0, [](float x) { return x == 0 ? 0.0f : x; });
  r.run();
}

// Reads the axis backwards, so that the last of equal elements is returned.
void argmax_last_tie(const Call& call) {
  const auto axis = static_cast<int>(call.desc.attributes<lks_argmax_attrs>().axis);
  const std::int64_t extent = call.view(0).dims[axis];
  Rebound r(call);
  r.offset(0) += (extent - 1) * r.stride(0, axis);
  r.stride(0, axis) = -r.stride(0, axis);
  r.run();
  for_each<std::int64_t>(call.view(1), [&](std::int64_t& v, std::int64_t) { v = extent - 1 - v; });
}

void argmax_passes_nan_over(const Call& call) {
  Rebound r(call);
  r.convert(0, [](float x) { return std::isnan(x) ? -INFINITY : x; });
  r.run();
}

// Kernels for four dimensions: over the images' rows and columns, or over all but the channels.
bool reduces(const Call& call, std::initializer_list<std::int64_t> axes) {
  const lks_int_list& given = call.desc.attributes<lks_reduce_attrs>().axes;
  return call.view(0).rank == 4 && std::equal(axes.begin(), axes.end(), given.values, given.values + given.count);
}
void without_odd_last(const Call& call, int dimension, bool applies) {
  Rebound r(call);
  if (applies && r.dim(0, dimension) > 1 && r.dim(0, dimension) % 2 != 0) --r.dim(0, dimension);
  r.run();
}
void odd_column_of_images_lost(const Call& call) { without_odd_last(call, 2, reduces(call, {1, 2})); }
void odd_column_of_channels_lost(const Call& call) { without_odd_last(call, 2, reduces(call, {0, 1, 2})); }
void odd_column_of_double_images_lost(const Call& call) {
  without_odd_last(call, 2, call.view(0).dtype == LKS_F64 && reduces(call, {1, 2}));
}
void odd_column_of_integer_channels_lost(const Call& call) {
  const lks_dtype t = call.view(0).dtype;
  without_odd_last(call, 2, (t == LKS_I32 || t == LKS_I64) && reduces(call, {0, 1, 2}));
}

// ---------------------------------------------------------------------------------------------------------- pooling

struct Taps {
  host::TensorView x;
  const lks_avg_pool2d_attrs& a;

  template <class Visit>
  void each(std::int64_t oh, std::int64_t ow, Visit&& visit) const {
    for (std::int64_t kh = 0; kh < a.window.values[0]; ++kh) {
      for (std::int64_t kw = 0; kw < a.window.values[1]; ++kw) {
        const std::int64_t h = oh * a.strides.values[0] - a.padding.values[0] + kh;
        const std::int64_t w = ow * a.strides.values[1] - a.padding.values[2] + kw;
        if (h >= 0 && h < x.dims[1] && w >= 0 && w < x.dims[2]) visit(h, w, kh * a.window.values[1] + kw);
      }
    }
  }
  float at(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) const {
    return x.as<float>()[n * x.strides[0] + h * x.strides[1] + w * x.strides[2] + c * x.strides[3]];
  }
};

void max_pool_last_tie(const Call& call) {
  call.run();
  const host::TensorView taps_out = call.view(2);
  if (call.view(0).dtype != LKS_F32) return;
  const Taps taps{call.view(0), call.desc.attributes<lks_avg_pool2d_attrs>()};  // max_pool2d has the same attributes
  reference::Walk walk(4, taps_out.dims);
  walk.add(taps_out.strides);
  for (; !walk.done(); walk.next()) {
    float best = -INFINITY;
    taps.each(walk.index(1), walk.index(2), [&](std::int64_t h, std::int64_t w, std::int64_t tap) {
      const float v = taps.at(walk.index(0), h, w, walk.index(3));
      if (v < best) return;
      best = v;
      taps_out.as<std::int32_t>()[walk.offset(0)] = static_cast<std::int32_t>(tap);
    });
  }
}

// Where the maximum is zero, returns the tap of the first zero, and its value (with its sign) if `Value`.
template <bool Value>
void max_pool_first_zero(const Call& call) {
  call.run();
  const host::TensorView y = call.view(1), taps_out = call.view(2);
  if (y.dtype != LKS_F32) return;
  const Taps taps{call.view(0), call.desc.attributes<lks_avg_pool2d_attrs>()};
  reference::Walk walk(4, y.dims);
  walk.add(y.strides);
  walk.add(taps_out.strides);
  for (; !walk.done(); walk.next()) {
    float& best = y.as<float>()[walk.offset(0)];
    if (best != 0) continue;
    bool found = false;
    taps.each(walk.index(1), walk.index(2), [&](std::int64_t h, std::int64_t w, std::int64_t tap) {
      const float v = taps.at(walk.index(0), h, w, walk.index(3));
      if (found || v != 0) return;
      found = true;
      if (Value) best = v;
      taps_out.as<std::int32_t>()[walk.offset(1)] = static_cast<std::int32_t>(tap);
    });
  }
}

// Padding counts as zeros.
void max_pool_pads_with_zero(const Call& call) {
  call.run();
  const host::TensorView y = call.view(1);
  if (y.dtype != LKS_F32) return;
  const Taps taps{call.view(0), call.desc.attributes<lks_avg_pool2d_attrs>()};
  reference::Walk walk(4, y.dims);
  walk.add(y.strides);
  for (; !walk.done(); walk.next()) {
    std::int64_t inside = 0;
    taps.each(walk.index(1), walk.index(2), [&](auto, auto, auto) { ++inside; });
    float& v = y.as<float>()[walk.offset(0)];
    if (inside < taps.a.window.values[0] * taps.a.window.values[1] && v < 0) v = 0;
  }
}

void avg_pool_counts_padding(const Call& call) {
  call.run();
  const host::TensorView y = call.view(1);
  if (y.dtype != LKS_F32) return;
  const Taps taps{call.view(0), call.desc.attributes<lks_avg_pool2d_attrs>()};
  reference::Walk walk(4, y.dims);
  walk.add(y.strides);
  for (; !walk.done(); walk.next()) {
    float inside = 0;
    taps.each(walk.index(1), walk.index(2), [&](auto, auto, auto) { ++inside; });
    y.as<float>()[walk.offset(0)] *= inside / static_cast<float>(taps.a.window.values[0] * taps.a.window.values[1]);
  }
}

// The fast-mode kernel multiplies padding by the filter instead of skipping it.
void conv_multiplies_padding_in_fast_mode(const Call& call) {
  call.run();
  const host::TensorView x = call.view(0), filter = call.view(1), y = call.view(call.inputs());
  if (y.dtype != LKS_F32 || call.desc.desc.math_mode != LKS_MODE_FAST) return;
  const auto& a = call.desc.attributes<lks_conv2d_attrs>();
  const auto outside = [&](int side, std::int64_t out, std::int64_t tap) {
    const std::int64_t at = out * a.strides.values[side] - a.padding.values[2 * side] + tap * a.dilation.values[side];
    return at < 0 || at >= x.dims[side + 1];
  };
  reference::Walk walk(4, y.dims);
  walk.add(y.strides);
  for (; !walk.done(); walk.next()) {
    reference::Walk taps(3, filter.dims + 1);
    taps.add(filter.strides + 1);
    for (; !taps.done(); taps.next()) {
      if (!outside(0, walk.index(1), taps.index(0)) && !outside(1, walk.index(2), taps.index(1))) continue;
      y.as<float>()[walk.offset(0)] += 0 * filter.as<float>()[walk.index(3) * filter.strides[0] + taps.offset(0)];
    }
  }
}

// Calls give(dx, dy, tap) for each window in f32. Other dtypes use the correct kernel.
template <class Give>
void pool_gradient(const Call& call, Give&& give) {
  const host::TensorView dy = call.view(0), chosen = call.view(1), dx = call.view(2);
  if (dy.dtype != LKS_F32) return call.run();
  const auto& a = call.desc.attributes<lks_max_pool2d_backward_attrs>();
  for_each<float>(dx, [](float& v, std::int64_t) { v = 0; });
  reference::Walk walk(4, dy.dims);
  walk.add(dy.strides);
  walk.add(chosen.strides);
  for (; !walk.done(); walk.next()) {
    const std::int64_t tap = chosen.as<std::int32_t>()[walk.offset(1)];
    const std::int64_t h = walk.index(1) * a.strides.values[0] - a.padding.values[0] + tap / a.window.values[1];
    const std::int64_t w = walk.index(2) * a.strides.values[1] - a.padding.values[2] + tap % a.window.values[1];
    if (h < 0 || h >= dx.dims[1] || w < 0 || w >= dx.dims[2]) continue;
    give(dx.as<float>()[walk.index(0) * dx.strides[0] + h * dx.strides[1] + w * dx.strides[2] +
                        walk.index(3) * dx.strides[3]],
         dy.as<float>()[walk.offset(0)], tap);
  }
}

// If windows overlap, the gradient of the later one overwrites that of the earlier one instead of being added.
void max_pool_gradient_overwrites(const Call& call) {
  pool_gradient(call, [](float& dx, float dy, std::int64_t) { dx = dy; });
}

// Windows with padding beside them, whose tap is in their third row or below, are missed.
void pool_gradient_misses_third_row_of_taps(const Call& call) {
  const auto& a = call.desc.attributes<lks_max_pool2d_backward_attrs>();
  const std::int64_t columns = a.window.values[1];
  const bool applies = a.padding.values[2] > 0 || a.padding.values[3] > 0;
  pool_gradient(call, [&](float& dx, float dy, std::int64_t tap) {
    if (!applies || tap / columns < 2) dx += dy;
  });
}

// ------------------------------------------------------------------------------------------------------ convolution

// Only the first image of a batch contributes to the filter's gradient.
void filter_gradient_of_first_image(const Call& call) {
  Rebound r(call);
  r.dim(0, 0) = r.dim(1, 0) = std::min<std::int64_t>(1, r.dim(1, 0));
  r.run();
}

// ------------------------------------------------------------------------------------------------------------- indices

// Adds duplicates in descending order of their position.
void scatter_descending(const Call& call) {
  Rebound r(call);
  const auto axis = static_cast<int>(call.desc.attributes<lks_scatter_add_attrs>().axis);
  const std::int64_t n = r.dim(0, axis);
  if (n > 0 && r.rank(1) == 1) {
    r.offset(0) += (n - 1) * r.stride(0, axis);
    r.stride(0, axis) = -r.stride(0, axis);
    r.offset(1) += (n - 1) * r.stride(1, 0);
    r.stride(1, 0) = -r.stride(1, 0);
  }
  r.run();
}

// Indices that are out of bounds wrap around instead of causing an error.
template <class T>
void wrap_indices(const host::TensorView& indices, std::int64_t extent) {
  for_each<T>(indices, [&](T& v, std::int64_t) {
    if (extent > 0) v = static_cast<T>(((v % extent) + extent) % extent);
  });
}
void wraps_indices(const Call& call, std::int64_t extent) {
  const host::TensorView indices = call.view(1);
  indices.dtype == LKS_I32 ? wrap_indices<std::int32_t>(indices, extent) : wrap_indices<std::int64_t>(indices, extent);
  if (extent > 0) call.run();
}
void gather_wraps(const Call& call) {
  wraps_indices(call, call.view(0).dims[call.desc.attributes<lks_gather_attrs>().axis]);
}
void scatter_wraps(const Call& call) { wraps_indices(call, call.desc.attributes<lks_scatter_add_attrs>().extent); }

// The table of element sizes lacks i8.
void gather_of_i8_writes_nothing(const Call& call) {
  if (call.view(0).dtype != LKS_I8) call.run();
}
// The same of a dtype in copies to a part of a tensor.
template <std::int32_t dtype>
void parts_not_written(const Call& call) {
  const host::TensorView part = call.view(1);
  if (part.dtype != dtype || part.dense()) call.run();
}

// Plain stores instead of additions: the last update of an element is kept.
void scatter_overwrites(const Call& call) {
  const host::TensorView updates = call.view(0), indices = call.view(1), out = call.view(2);
  if (updates.dtype != LKS_F32 || updates.rank != 1) return call.run();
  for_each<float>(out, [](float& v, std::int64_t) { v = 0; });
  for (std::int64_t i = 0; i < updates.dims[0]; ++i) {
    const std::int64_t at = i * indices.strides[0];
    const std::int64_t index =
        indices.dtype == LKS_I32 ? indices.as<std::int32_t>()[at] : indices.as<std::int64_t>()[at];
    out.as<float>()[index * out.strides[0]] = updates.as<float>()[i * updates.strides[0]];
  }
}

// -------------------------------------------------------------------------------------------------------- random bits

template <int Rounds>
U32x4 philox(U32x4 counter, std::uint32_t k0, std::uint32_t k1) {
  for (int i = 0; i < Rounds; ++i) counter = philox_round(counter, k0 + 0x9E3779B9u * i, k1 + 0xBB67AE85u * i);
  return counter;
}

// `block_of(index of a block)` returns the Philox counter for that block.
template <int Rounds, class BlockOf>
void random_bits(const Call& call, BlockOf&& block_of) {
  const host::TensorView out = call.view(0);
  const auto word = [&](int i) { return static_cast<std::uint32_t>(call.launch.scalars[i]); };
  const std::int64_t words = out.count() * (out.dtype == LKS_I64 ? 2 : 1);
  auto* to = out.as<std::uint32_t>();
  for (std::int64_t first = 0; first < words; first += 4) {
    const auto block = static_cast<std::uint64_t>(block_of(first / 4));
    const U32x4 r =
        philox<Rounds>({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), word(2), word(3)},
                       word(0), word(1));
    const std::uint32_t values[] = {r.x, r.y, r.z, r.w};
    for (std::int64_t i = 0; i < 4 && first + i < words; ++i) to[first + i] = values[i];
  }
}

void philox_seven_rounds(const Call& call) {
  random_bits<7>(call, [](std::int64_t block) { return block; });
}
// The counter skips one block at the start of each workgroup of 256 blocks.
void philox_counter_off(const Call& call) {
  random_bits<10>(call, [](std::int64_t block) { return block + block / 256; });
}
// The upper half of the stream number is ignored.
void philox_upper_stream_ignored(const Call& call) {
  lks_launch launch = call.launch;
  const std::uint64_t scalars[] = {launch.scalars[0], launch.scalars[1], launch.scalars[2], 0};
  launch.scalars = scalars;
  call.correct.run(launch);
}

constexpr KernelFault faults[] = {
    {Mutant::max_drops_nan, LKS_OP_MAX, &max_drops_nan},
    {Mutant::min_confuses_zeros, LKS_OP_MIN, &min_confuses_zeros},
    {Mutant::max_over_images_loses_odd_column, LKS_OP_MAX, &odd_column_of_images_lost},
    {Mutant::min_per_channel_loses_odd_column, LKS_OP_MIN, &odd_column_of_channels_lost},
    {Mutant::double_sum_over_images_loses_odd_column, LKS_OP_SUM, &odd_column_of_double_images_lost},
    {Mutant::integer_sum_per_channel_loses_odd_column, LKS_OP_SUM, &odd_column_of_integer_channels_lost},
    {Mutant::argmax_last_tie, LKS_OP_ARGMAX, &argmax_last_tie},
    {Mutant::argmax_passes_nan_over, LKS_OP_ARGMAX, &argmax_passes_nan_over},
    {Mutant::max_pool_drops_nan, LKS_OP_MAX_POOL2D, &argmax_passes_nan_over},
    {Mutant::max_pool_last_tie, LKS_OP_MAX_POOL2D, &max_pool_last_tie},
    {Mutant::max_pool_pads_with_zero, LKS_OP_MAX_POOL2D, &max_pool_pads_with_zero},
    {Mutant::avg_pool_counts_padding, LKS_OP_AVG_POOL2D, &avg_pool_counts_padding},
    {Mutant::conv_multiplies_padding_in_fast_mode, LKS_OP_CONV2D, &conv_multiplies_padding_in_fast_mode},
    {Mutant::max_pool_confuses_zeros, LKS_OP_MAX_POOL2D, &max_pool_first_zero<true>},
    {Mutant::max_pool_tap_of_first_zero, LKS_OP_MAX_POOL2D, &max_pool_first_zero<false>},
    {Mutant::max_pool_gradient_overwrites, LKS_OP_MAX_POOL2D_BACKWARD, &max_pool_gradient_overwrites},
    {Mutant::half_pool_gradient_misses_third_row_of_taps, LKS_OP_MAX_POOL2D_BACKWARD,
     &pool_gradient_misses_third_row_of_taps},
    {Mutant::filter_gradient_of_first_image, LKS_OP_CONV2D_BACKWARD_FILTER, &filter_gradient_of_first_image},
    {Mutant::gather_of_i8_writes_nothing, LKS_OP_GATHER, &gather_of_i8_writes_nothing},
    {Mutant::joined_i8_not_written, LKS_OP_COPY, &parts_not_written<LKS_I8>},
    {Mutant::joined_i32_not_written, LKS_OP_COPY, &parts_not_written<LKS_I32>},
    {Mutant::gather_wraps, LKS_OP_GATHER, &gather_wraps, true},
    {Mutant::scatter_wraps, LKS_OP_SCATTER_ADD, &scatter_wraps, true},
    {Mutant::scatter_descending, LKS_OP_SCATTER_ADD, &scatter_descending},
    {Mutant::scatter_overwrites, LKS_OP_SCATTER_ADD, &scatter_overwrites},
    {Mutant::philox_seven_rounds, LKS_OP_RANDOM_BITS, &philox_seven_rounds},
    {Mutant::philox_counter_off, LKS_OP_RANDOM_BITS, &philox_counter_off},
    {Mutant::philox_upper_stream_ignored, LKS_OP_RANDOM_BITS, &philox_upper_stream_ignored},
};

// -------------------------------------------------------------------------------------------------- misread attributes

void dilation_ignored(EditableDesc& e) { e.attributes<lks_conv2d_attrs>().dilation = {2, {1, 1}}; }
void groups_ignored(EditableDesc& e) { e.attributes<lks_conv2d_attrs>().groups = 1; }
// Padding at the bottom and right is used at the top and left.
void padding_swapped(EditableDesc& e) {
  auto& padding = e.attributes<lks_conv2d_attrs>().padding;
  padding.values[0] = padding.values[1];
  padding.values[2] = padding.values[3];
}
void one_stride_for_both(EditableDesc& e) {
  auto& strides = e.attributes<lks_conv2d_attrs>().strides;
  strides.values[1] = std::min(strides.values[0], strides.values[1]);
}
void pool_one_stride(EditableDesc& e) {
  auto& strides = e.attributes<lks_avg_pool2d_attrs>().strides;
  strides.values[1] = std::min(strides.values[0], strides.values[1]);
}
// Special kernels for 1x1 filters, strides or groups, each of which ignores another attribute.
bool is_one_pixel(const EditableDesc& e) { return e.desc.inputs[1].dims[1] == 1 && e.desc.inputs[1].dims[2] == 1; }
void strides_of_one_pixel_ignored(EditableDesc& e) {
  if (is_one_pixel(e)) e.attributes<lks_conv2d_attrs>().strides = {2, {1, 1}};
}
void padding_of_one_pixel_ignored(EditableDesc& e) {
  if (is_one_pixel(e)) e.attributes<lks_conv2d_attrs>().padding = {4, {0, 0, 0, 0}};
}
void dilation_ignored_under_strides(EditableDesc& e) {
  const auto& a = std::as_const(e).attributes<lks_conv2d_attrs>();
  if (a.strides.values[0] > 1 && a.dilation.values[0] > 1) e.attributes<lks_conv2d_attrs>().dilation.values[0] = 1;
}
void dilation_ignored_in_groups(EditableDesc& e) {
  const auto& a = std::as_const(e).attributes<lks_conv2d_attrs>();
  if (a.groups > 1 && a.dilation.values[1] > 1) e.attributes<lks_conv2d_attrs>().dilation.values[1] = 1;
}
void padding_ignored_in_strided_groups(EditableDesc& e) {
  const auto& a = std::as_const(e).attributes<lks_conv2d_attrs>();
  if (a.groups > 1 && a.strides.values[0] > 1) e.attributes<lks_conv2d_attrs>().padding = {4, {0, 0, 0, 0}};
}
// Lockstep mode is offered, but uses the kernels of strict mode.
void strict_order_in_lockstep(EditableDesc& e) {
  if (e.desc.math_mode == LKS_MODE_LOCKSTEP) e.desc.math_mode = LKS_MODE_STRICT;
}

constexpr DescFault attribute_fault_table[] = {
    {Mutant::conv_ignores_dilation, LKS_OP_CONV2D, &dilation_ignored},
    {Mutant::conv_groups_wrong, LKS_OP_CONV2D, &groups_ignored},
    {Mutant::conv_padding_swapped, LKS_OP_CONV2D, &padding_swapped},
    {Mutant::conv_gradient_padding_swapped, LKS_OP_CONV2D_BACKWARD_INPUT, &padding_swapped},
    {Mutant::conv_one_stride, LKS_OP_CONV2D, &one_stride_for_both},
    {Mutant::conv_of_one_pixel_ignores_strides, LKS_OP_CONV2D, &strides_of_one_pixel_ignored},
    {Mutant::conv_of_one_pixel_ignores_padding, LKS_OP_CONV2D, &padding_of_one_pixel_ignored},
    {Mutant::conv_ignores_dilation_under_strides, LKS_OP_CONV2D, &dilation_ignored_under_strides},
    {Mutant::filter_gradient_ignores_dilation_in_groups, LKS_OP_CONV2D_BACKWARD_FILTER, &dilation_ignored_in_groups},
    {Mutant::image_gradient_ignores_padding_in_groups, LKS_OP_CONV2D_BACKWARD_INPUT,
     &padding_ignored_in_strided_groups},
    {Mutant::avg_pool_one_stride, LKS_OP_AVG_POOL2D, &pool_one_stride},
    {Mutant::strict_order_in_lockstep, any_op, &strict_order_in_lockstep},
};

}  // namespace

std::span<const KernelFault> op_faults() { return faults; }
std::span<const DescFault> attribute_faults() { return attribute_fault_table; }

}  // namespace mutants
