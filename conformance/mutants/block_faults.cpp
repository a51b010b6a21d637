// Faults in kernels for blocks of elements: tiles of an image, extents of which only some are whole blocks, vectors of
// channels, rows of whole vectors, and operands that begin between two vectors.
#include <algorithm>
#include <cmath>
#include <limits>

#include "conformance/mutants/faulty_runs.h"
#include "conformance/mutants/terms.h"

namespace mutants {
namespace {

// ------------------------------------------------------------------------------------------------------- convolutions

const lks_conv2d_attrs& conv_attributes(const Call& call) { return call.desc.attributes<lks_conv2d_attrs>(); }

// Of tiles of 16 x 16 pixels, all are the first one.
void conv_repeats_first_tile(const Call& call) {
  call.run();
  const host::TensorView y = call.view(call.inputs());
  if (!has_blocks_of(call.view(1).dims, 8) || y.dtype != LKS_F32) return;
  reference::Walk walk(4, y.dims);
  walk.add(y.strides);
  for (; !walk.done(); walk.next()) {
    std::int64_t back = 0;
    for (const int d : {1, 2}) back += walk.index(d) / 16 * 16 * y.strides[d];
    y.as<float>()[walk.offset(0)] = y.as<float>()[walk.offset(0) - back];
  }
}
// Filters of one channel each: the gradient is that of the first 16 rows.
void depthwise_filter_gradient_of_first_tile(const Call& call) {
  Rebound r(call);
  if (conv_attributes(call).groups >= 16 && call.view(2).dims[3] == 1)
    r.dim(1, 1) = std::min<std::int64_t>(r.dim(1, 1), 16);
  r.run();
}

// Whole blocks of filters: channels that do not fill a vector of four are left out.
void conv_of_whole_filters_drops_channels(const Call& call) {
  Rebound r(call);
  const host::TensorView filter = call.view(1);
  const std::int64_t channels = filter.dims[3];
  if (filter.dims[0] % 32 == 0 && channels > 1 && conv_attributes(call).groups == 1)
    r.dim(0, 3) = r.dim(1, 3) = channels - channels % 4;
  r.run();
}
void filter_gradient_of_whole_filters_loses_last_channel(const Call& call) {
  const host::TensorView dw = call.view(2);
  without_last(call, 3, dw.dims[0] % 32 == 0 && dw.dims[3] % 4 != 0);
}

// Filters of one pixel on many channels: the pixels of an image are read as the rows of a dense matrix.
void read_as_dense(const Call& call, std::size_t filter, std::size_t image) {
  const std::int64_t* w = call.view(filter).dims;
  Rebound r(call);
  if (is_pixel(w) && has_blocks_of(w, 16) && is_all(conv_attributes(call).strides, 1)) r.make_dense_if_inside(image);
  r.run();
}
void pixel_conv_reads_dense_images(const Call& call) { read_as_dense(call, 1, 0); }
void pixel_filter_gradient_reads_dense_gradients(const Call& call) { read_as_dense(call, 2, 1); }

void no_dilation(EditableDesc& e) { e.attributes<lks_conv2d_attrs>().dilation = {2, {1, 1}}; }
void half_conv_of_blocks_ignores_dilation(EditableDesc& e) {
  if (has_blocks_of(e.desc.inputs[1].dims, 16)) no_dilation(e);
}
void double_filter_gradient_of_blocks_ignores_dilation(EditableDesc& e) {
  if (e.desc.inputs[0].dtype == LKS_F64 && has_blocks_of(e.desc.outputs[0].dims, 16)) no_dilation(e);
}

// Results above the largest number of f16 are that number.
void half_conv_of_blocks_saturates(const Call& call) {
  call.run();
  if (!has_blocks_of(call.view(1).dims, 64)) return;
  const float largest = 65504;
  for_each<float>(call.view(call.inputs()),
                  [largest](float& v, std::int64_t) { v = std::isnan(v) ? v : std::clamp(v, -largest, largest); });
}
// Infinities are a large number of bf16.
void bfloat_image_gradient_of_blocks_bounds_infinities(const Call& call) {
  Rebound r(call);
  const float large = as_bf16(std::numeric_limits<float>::max() / 2);
  if (has_blocks_of(call.view(1).dims, 64))
    r.convert(0, [large](float x) { return std::isinf(x) ? std::copysign(large, x) : x; });
  r.run();
}

// ------------------------------------------------------------------------------------------------------------ products

// Products that fill no block of `block` are lost.
void without_rest(const Call& call, std::int64_t block, bool applies) {
  const std::int64_t k = Product(call).k;
  first_products(call, applies ? k - k % block : k);
}

// A row for each matrix of a batch: all are multiplied by the first matrix.
void batched_rows_times_first_matrix(const Call& call) {
  const Product p(call);
  Rebound r(call);
  if (p.rank == 3 && p.m == 1 && p.n > 1 && p.k > 1) r.stride(1, 0) = 0;
  r.run();
}
// A column for each matrix: products that do not fill a vector of four are lost.
void batched_columns_lose_last_products(const Call& call) {
  const Product p(call);
  without_rest(call, 4, p.rank == 3 && p.n == 1 && p.m > 1 && p.k > 4);
}
// Results of whole blocks are taken to be sums of whole blocks.
void whole_results_lose_last_products(const Call& call) {
  const Product p(call);
  without_rest(call, 32, p.m % 64 == 0 && p.n % 64 == 0 && p.k > 32);
}
// Whole blocks of rows and sums: the columns are taken to be whole blocks.
void whole_rows_lose_last_column(const Call& call) {
  const Product p(call);
  without_last(call, -1, p.m % 64 == 0 && p.k % 64 == 0 && p.n > 64 && p.n % 64 != 0);
}
// Long rows times large matrices.
void double_row_product_loses_last_products(const Call& call) {
  const Product p(call);
  without_rest(call, 8, p.dtype == LKS_F64 && p.m == 1 && p.n >= 128 && p.k >= 128);
}
void integer_column_product_loses_last_row(const Call& call) {
  const Product p(call);
  without_last(call, -2, p.dtype == LKS_I64 && p.n == 1 && p.m >= 128 && p.k >= 128);
}

// ------------------------------------------------------------------------------------------------------------- pooling

bool has_vectors_of_channels(std::int64_t channels) { return channels >= 20 && channels % 4 == 0; }

// Vectors of channels: the padding counts as zeros.
void max_pool_of_vectors_pads_with_zero(const Call& call) {
  call.run();
  const auto& a = call.desc.attributes<lks_max_pool2d_attrs>();
  const host::TensorView x = call.view(0), y = call.view(1);
  if (y.dtype != LKS_F32 || !has_vectors_of_channels(x.dims[3]) || is_all(a.padding, 0)) return;
  reference::Walk walk(4, y.dims);
  walk.add(y.strides);
  for (; !walk.done(); walk.next()) {
    bool inside = true;
    for (const int d : {0, 1}) {
      const std::int64_t first = walk.index(d + 1) * a.strides.values[d] - a.padding.values[2 * d];
      inside = inside && first >= 0 && first + a.window.values[d] <= x.dims[d + 1];
    }
    float& v = y.as<float>()[walk.offset(0)];
    if (!inside && v < 0) v = 0;
  }
}
// Vectors of channels: where windows overlap, the last row of elements is lost.
void avg_pool_gradient_of_vectors_loses_last_row(const Call& call) {
  const auto& a = call.desc.attributes<lks_avg_pool2d_backward_attrs>();
  without_last(call, 1, has_vectors_of_channels(call.view(1).dims[3]) && a.window.values[0] > a.strides.values[0]);
}

// --------------------------------------------------------------------------------------------------------------- rows

// The only axis of a reduction or choice; -1 if there are several.
int reduced_axis(const Call& call) {
  if (call.desc.desc.op == LKS_OP_ARGMAX) return static_cast<int>(call.desc.attributes<lks_argmax_attrs>().axis);
  const lks_int_list& axes = call.desc.attributes<lks_reduce_attrs>().axes;
  return axes.count == 1 ? static_cast<int>(axes.values[0]) : -1;
}

// Rows of whole vectors: the last vector is lost.
void rows_lose_last_vector(const Call& call) {
  Rebound r(call);
  const int axis = reduced_axis(call);
  const bool is_row = axis > 0 && axis + 1 == r.rank(0) && r.stride(0, axis) == 1;
  if (is_row && r.dim(0, axis) >= 64 && r.dim(0, axis) % 16 == 0) r.dim(0, axis) -= 4;
  r.run();
}
// Long rows: gaps behind them are not seen.
void long_rows_close_up(const Call& call) {
  Rebound r(call);
  const int axis = reduced_axis(call);
  if (axis == 1 && r.rank(0) == 2 && r.dim(0, 1) >= 256) r.close_up_rows(0);
  r.run();
}

// ------------------------------------------------------------------------------------------------- begins of operands

// Dense operands that begin at a multiple of `known` bytes, but not of `vector`, are read from the multiple before.
template <std::int64_t known, std::int64_t vector>
void starts_rounded_down(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    if (!r.has(i) || !call.view(i).dense()) continue;
    const auto size = static_cast<std::int64_t>(host::size_of(call.view(i).dtype));
    const std::int64_t start = r.offset(i) * size;
    if (start % known == 0) r.offset(i) = start / vector * vector / size;
  }
  r.run();
}

// ---------------------------------------------------------------------------------------------------- ends of results

void conv_of_blocks_writes_past_the_end(const Call& call) {
  call.run();
  if (has_blocks_of(call.view(1).dims, 64)) write_byte_behind(call);
}

constexpr KernelFault faults[] = {
    {Mutant::conv_repeats_first_tile, LKS_OP_CONV2D, &conv_repeats_first_tile},
    {Mutant::depthwise_filter_gradient_of_first_tile, LKS_OP_CONV2D_BACKWARD_FILTER,
     &depthwise_filter_gradient_of_first_tile},
    {Mutant::conv_of_whole_filters_drops_channels, LKS_OP_CONV2D, &conv_of_whole_filters_drops_channels},
    {Mutant::filter_gradient_of_whole_filters_loses_last_channel, LKS_OP_CONV2D_BACKWARD_FILTER,
     &filter_gradient_of_whole_filters_loses_last_channel},
    {Mutant::pixel_conv_reads_dense_images, LKS_OP_CONV2D, &pixel_conv_reads_dense_images},
    {Mutant::pixel_filter_gradient_reads_dense_gradients, LKS_OP_CONV2D_BACKWARD_FILTER,
     &pixel_filter_gradient_reads_dense_gradients},
    {Mutant::half_conv_of_blocks_saturates, LKS_OP_CONV2D, &half_conv_of_blocks_saturates},
    {Mutant::bfloat_image_gradient_of_blocks_bounds_infinities, LKS_OP_CONV2D_BACKWARD_INPUT,
     &bfloat_image_gradient_of_blocks_bounds_infinities},
    {Mutant::batched_rows_times_first_matrix, LKS_OP_MATMUL, &batched_rows_times_first_matrix},
    {Mutant::batched_columns_lose_last_products, LKS_OP_MATMUL, &batched_columns_lose_last_products},
    {Mutant::whole_results_lose_last_products, LKS_OP_MATMUL, &whole_results_lose_last_products},
    {Mutant::whole_rows_lose_last_column, LKS_OP_MATMUL, &whole_rows_lose_last_column},
    {Mutant::double_row_product_loses_last_products, LKS_OP_MATMUL, &double_row_product_loses_last_products},
    {Mutant::integer_column_product_loses_last_row, LKS_OP_MATMUL, &integer_column_product_loses_last_row},
    {Mutant::max_pool_of_vectors_pads_with_zero, LKS_OP_MAX_POOL2D, &max_pool_of_vectors_pads_with_zero},
    {Mutant::avg_pool_gradient_of_vectors_loses_last_row, LKS_OP_AVG_POOL2D_BACKWARD,
     &avg_pool_gradient_of_vectors_loses_last_row},
    {Mutant::sum_of_whole_rows_loses_last_vector, LKS_OP_SUM, &rows_lose_last_vector},
    {Mutant::argmax_of_whole_rows_ignores_last_vector, LKS_OP_ARGMAX, &rows_lose_last_vector},
    {Mutant::argmax_of_long_rows_closes_up, LKS_OP_ARGMAX, &long_rows_close_up},
    {Mutant::min_of_long_rows_closes_up, LKS_OP_MIN, &long_rows_close_up},
    {Mutant::program_rounds_starts_to_32_bytes, LKS_OP_POINTWISE, &starts_rounded_down<16, 32>},
    {Mutant::sum_rounds_starts_to_64_bytes, LKS_OP_SUM, &starts_rounded_down<32, 64>},
    {Mutant::conv_of_blocks_writes_past_the_end, LKS_OP_CONV2D, &conv_of_blocks_writes_past_the_end},
};

constexpr DescFault desc_faults[] = {
    {Mutant::half_conv_of_blocks_ignores_dilation, LKS_OP_CONV2D, &half_conv_of_blocks_ignores_dilation, true},
    {Mutant::double_filter_gradient_of_blocks_ignores_dilation, LKS_OP_CONV2D_BACKWARD_FILTER,
     &double_filter_gradient_of_blocks_ignores_dilation, true},
};

}  // namespace

std::span<const KernelFault> block_faults() { return faults; }
std::span<const DescFault> block_attribute_faults() { return desc_faults; }

}  // namespace mutants
