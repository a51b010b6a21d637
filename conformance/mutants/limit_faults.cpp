// Faults that begin at a limit: of elements, rank, stride or window, or of the bits of an operand. Some are in one
// dtype or in fast mode only.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "conformance/mutants/faulty_runs.h"

namespace mutants {
namespace {

// ----------------------------------------------------------------------------------------------------------- integers

template <class T>
void product_in_float(const host::TensorView& a, const host::TensorView& b, const host::TensorView& c) {
  for (std::int64_t i = 0; i < c.dims[0]; ++i) {
    for (std::int64_t j = 0; j < c.dims[1]; ++j) {
      float total = 0;
      for (std::int64_t k = 0; k < a.dims[1]; ++k) {
        total += static_cast<float>(a.as<T>()[i * a.strides[0] + k * a.strides[1]]) *
                 static_cast<float>(b.as<T>()[k * b.strides[0] + j * b.strides[1]]);
      }
      const bool fits = std::fabs(total) < 9.2e18f;
      c.as<T>()[i * c.strides[0] + j * c.strides[1]] = static_cast<T>(fits ? static_cast<std::int64_t>(total) : 0);
    }
  }
}
// From 33 rows and columns on, integers are multiplied and added as f32.
void large_integer_matmul_in_float(const Call& call) {
  const host::TensorView a = call.view(0), b = call.view(1), c = call.view(2);
  if (c.rank != 2 || c.dims[0] < 33 || c.dims[1] < 33) return call.run();
  if (c.dtype == LKS_I32) return product_in_float<std::int32_t>(a, b, c);
  if (c.dtype == LKS_I64) return product_in_float<std::int64_t>(a, b, c);
  call.run();
}

// Sums of more than 20,000 i32 numbers stop at the ends of the dtype.
void long_integer_sum_saturates(const Call& call) {
  const host::TensorView x = call.view(0), y = call.view(1);
  if (x.dtype != LKS_I32 || y.count() != 1 || x.count() <= 20000) return call.run();
  std::int64_t total = 0;
  for_each<std::int32_t>(x, [&](std::int32_t v, std::int64_t) { total += v; });
  *y.as<std::int32_t>() = static_cast<std::int32_t>(std::clamp<std::int64_t>(total, INT32_MIN, INT32_MAX));
}

// --------------------------------------------------------------------------------------------------- many elements

// Whether an operand is repeated along a dimension of the result.
bool is_broadcast(const host::TensorView& x, const host::TensorView& out) {
  for (int d = 0; d < x.rank; ++d) {
    const std::int64_t wanted = d + out.rank >= x.rank ? out.dims[d + out.rank - x.rank] : 1;
    if (wanted > 1 && (x.dims[d] == 1 || x.strides[d] == 0)) return true;
  }
  return x.count() < out.count();
}
constexpr std::int64_t many = 1 << 18;

template <class Concerned>
void last_of_many_lost(const Call& call, Concerned&& concerned) {
  const host::TensorView out = call.view(call.inputs());
  bool applies = false;
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    applies = applies || (call.launch.bindings[i].buffer && concerned(call.view(i), out));
  }
  without_last(call, 0, applies && out.rank > 0 && out.count() > many);
}
void broadcast_beyond_18_bits_not_written(const Call& call) { last_of_many_lost(call, &is_broadcast); }
void strided_beyond_18_bits_not_written(const Call& call) {
  last_of_many_lost(
      call, [](const host::TensorView& x, const host::TensorView& out) { return !is_broadcast(x, out) && !x.dense(); });
}
void strided_table_beyond_18_bits_not_written(const Call& call) {
  without_last(call, 0, !call.view(0).dense() && call.view(2).count() > many);
}
void fast_beyond_18_bits_not_written(const Call& call) {
  without_last(call, 0, is_fast(call) && call.view(call.inputs()).count() > many);
}
void bits_repeat_from_21_bits(const Call& call) {
  call.run();
  const host::TensorView y = call.view(0);
  constexpr std::int64_t period = 1 << 21;
  if (y.dtype != LKS_I32) return;
  for (std::int64_t i = period; i < y.count(); ++i) y.as<std::int32_t>()[i] = y.as<std::int32_t>()[i - period];
}

// ------------------------------------------------------------------------------------------------------- fast mode

float without_nan(float x) { return std::isnan(x) ? -INFINITY : x; }
void max_drops_nan_in_fast_mode(const Call& call) {
  Rebound r(call);
  if (is_fast(call)) r.convert(0, &without_nan);
  r.run();
}
void argmax_in_20_bits_in_fast_mode(const Call& call) { coarse(call, 20, is_fast(call)); }
// Products of more than 128 rows and columns keep four bits of their operands.
void fast_matmul_in_4_bits(const Call& call) {
  const host::TensorView c = call.view(2);
  coarse(call, 3, is_fast(call) && c.dims[c.rank - 2] > 128 && c.dims[c.rank - 1] > 128);
}
void fast_conv_in_6_bits(const Call& call) {
  coarse(call, 5, is_fast(call) && call.view(call.inputs()).count() > 10000);
}

// --------------------------------------------------------------------------------------------------- large products

void coarse_from_300(const Call& call) {
  const host::TensorView a = call.view(0), c = call.view(2);
  coarse(call, 7,
         !is_fast(call) && c.dims[c.rank - 2] >= 300 && c.dims[c.rank - 1] >= 300 && a.dims[a.rank - 1] >= 300);
}
// From 128 in each extent on, the second operand of an f64 product is rounded to f32.
void large_double_matmul_rounds_b(const Call& call) {
  const host::TensorView a = call.view(0), c = call.view(2);
  Rebound r(call);
  if (c.dims[c.rank - 2] >= 128 && c.dims[c.rank - 1] >= 128 && a.dims[a.rank - 1] >= 128) {
    r.convert<double>(1, as_f32);
  }
  r.run();
}
void large_double_conv_rounds_filter(const Call& call) {
  Rebound r(call);
  if (call.view(call.inputs()).count() > 5000) {
    r.convert<double>(1, as_f32);
  }
  r.run();
}

// ------------------------------------------------------------------------------------------------ rank and layout

// From rank 5 on, a batch multiplies by its first right matrix.
void high_rank_matmul_first_of_b(const Call& call) {
  Rebound r(call);
  for (int d = 0; r.rank(1) > 4 && d + 2 < r.rank(1); ++d) r.stride(1, d) = 0;
  r.run();
}
// From rank 4 on, the last element of a line is ignored.
void high_rank_argmax_ignores_last(const Call& call) {
  const auto axis = static_cast<int>(call.desc.attributes<lks_argmax_attrs>().axis);
  Rebound r(call);
  if (r.rank(0) > 3 && r.dim(0, axis) > 1) --r.dim(0, axis);
  r.run();
}
void gather_of_high_rank_loses_last(const Call& call) { without_last(call, 0, call.view(call.inputs()).rank > 6); }
// Gaps behind rows are not seen in one dtype.
template <std::int32_t dtype>
void rows_of_dtype_closed_up(const Call& call) {
  Rebound r(call);
  const int last = r.rank(0) - 1;
  const bool rows = last > 0 && r.stride(0, last) == 1 && r.stride(0, last - 1) > r.dim(0, last);
  if (call.view(0).dtype == dtype && rows) r.make_dense(0);
  r.run();
}

// ----------------------------------------------------------------------------- blocks of channels, batches, orders

bool is_window(const host::TensorView& filter) { return filter.dims[1] > 1 || filter.dims[2] > 1; }
// Windows over at least 64 channels, with at least 64 filters and pixels, use shortened operands.
void conv_of_blocks_in_bf16(const Call& call) {
  const host::TensorView x = call.view(0), w = call.view(1), y = call.view(call.inputs());
  const bool blocks = w.dims[3] >= 64 && w.dims[0] >= 64 && y.dims[0] * y.dims[1] * y.dims[2] >= 64;
  coarse(call, is_fast(call) ? 5 : 7, blocks && is_window(w) && x.rank == 4);
}
// The same where nothing is strided, dilated or in groups.
bool is_plain(const Call& call) {
  const auto& a = call.desc.attributes<lks_conv2d_attrs>();
  const auto is_one = [](const lks_int_list& list) { return list.values[0] == 1 && list.values[1] == 1; };
  return is_one(a.strides) && is_one(a.dilation) && a.groups == 1;
}
void plain_conv_of_blocks_in_bf16(const Call& call) { is_plain(call) ? conv_of_blocks_in_bf16(call) : call.run(); }
void double_conv_of_blocks_loses_last_filter(const Call& call) {
  const host::TensorView x = call.view(0), w = call.view(1);
  without_last(call, 3, x.dtype == LKS_F64 && w.dims[3] >= 64 && w.dims[0] >= 64 && is_window(w));
}
void filter_gradient_of_blocks_loses_last(const Call& call) {
  const host::TensorView dw = call.view(call.inputs());
  without_last(call, 0, dw.dims[0] >= 64 && dw.dims[3] >= 64 && is_window(dw));
}
void image_gradient_of_blocks_in_bf16(const Call& call) {
  const host::TensorView w = call.view(1);
  coarse(call, is_fast(call) ? 5 : 7, w.dims[0] >= 64 && w.dims[3] >= 64 && is_window(w));
}
// Large products whose second operand is transposed.
void transposed_matmul_from_260_in_bf16(const Call& call) {
  const host::TensorView b = call.view(1), c = call.view(2);
  const bool transposed = b.strides[b.rank - 2] == 1 && b.strides[b.rank - 1] > 1;
  coarse(call, is_fast(call) ? 5 : 7, transposed && c.dims[c.rank - 2] >= 260 && c.dims[c.rank - 1] >= 260);
}
void double_matmul_from_300_rounds_a(const Call& call) {
  const host::TensorView c = call.view(2);
  Rebound r(call);
  if (c.dims[c.rank - 2] >= 300 && c.dims[c.rank - 1] >= 300) {
    r.convert<double>(0, as_f32);
  }
  r.run();
}
// Batches of matrices of blocks: the last row of the last block, and the right matrices one batch late.
void batched_matmul_of_blocks_loses_last_row(const Call& call) {
  const host::TensorView c = call.view(2);
  without_last(call, -2, c.rank == 3 && c.dims[0] > 1 && c.dims[1] > 32 && c.dims[2] > 32 && c.dims[1] % 32 != 0);
}
void batched_matmul_of_blocks_repeats_b(const Call& call) {
  const host::TensorView c = call.view(2);
  Rebound r(call);
  if (c.rank == 3 && c.dims[1] > 32 && c.dims[2] > 32) r.stride(1, 0) = 0;
  r.run();
}
// Kernels for extents that blocks of eight fill, in fast mode.
void fast_matmul_of_whole_blocks_loses_last(const Call& call) {
  const host::TensorView a = call.view(0), c = call.view(2);
  bool whole = true;
  for (const std::int64_t extent : {c.dims[c.rank - 2], c.dims[c.rank - 1], a.dims[a.rank - 1]}) {
    whole = whole && extent >= 16 && extent % 8 == 0;
  }
  without_last(call, -1, is_fast(call) && c.dtype == LKS_F32 && whole);
}
// From rank 4 on, batches of large matrices multiply by their first right matrix.
void high_rank_matmul_of_blocks_first_of_b(const Call& call) {
  const host::TensorView c = call.view(2);
  Rebound r(call);
  const bool large = c.rank > 3 && c.dims[c.rank - 2] >= 32 && c.dims[c.rank - 1] >= 32;
  for (int d = 0; large && d + 2 < r.rank(1); ++d) r.stride(1, d) = 0;
  r.run();
}
// A large right matrix that a batch shares is walked.
void batched_matmul_of_blocks_walks_shared_b(const Call& call) {
  const host::TensorView c = call.view(2);
  Rebound r(call);
  const bool shared = c.rank == 3 && c.dims[0] > 1 && r.stride(1, 0) == 0;
  if (shared && c.dims[1] >= 32 && c.dims[2] >= 32) r.stride(1, 0) = 1;
  r.run();
}
// Sums of at least 512 rows and 64 columns, and of as many lines of at least 1024 terms.
bool sums_along(const Call& call, std::int64_t axis) {
  const auto& axes = call.desc.attributes<lks_reduce_attrs>().axes;
  return call.view(0).rank == 2 && axes.count == 1 && axes.values[0] == axis;
}
void column_sum_of_blocks_loses_last(const Call& call) {
  const host::TensorView x = call.view(0);
  without_last(call, -1, sums_along(call, 0) && x.dims[0] >= 512 && x.dims[1] >= 64);
}
void row_sum_of_blocks_loses_last(const Call& call) {
  const host::TensorView x = call.view(0);
  without_last(call, 0, sums_along(call, 1) && x.dims[0] >= 64 && x.dims[1] >= 1024);
}
// The last row of each transpose of a batch, in tiles of 32 rows.
void batched_transpose_loses_last_row(const Call& call) {
  const host::TensorView x = call.view(0);
  const int row = x.rank - 2, column = x.rank - 1;
  if (x.rank < 3) return call.run();
  without_last(call, row, x.strides[row] == 1 && x.dims[row] > 32 && x.dims[column] > 32 && x.dims[row] % 32 != 0);
}
// All rows of a table of indices along an inner axis are read as its first.
void gather_of_tables_inner_axis(const Call& call) {
  Rebound r(call);
  if (r.rank(1) > 1 && call.desc.attributes<lks_gather_attrs>().axis > 0) r.stride(1, 0) = 0;
  r.run();
}
void scatter_into_wide_tables_loses_last(const Call& call) {
  const auto& a = call.desc.attributes<lks_scatter_add_attrs>();
  const host::TensorView y = call.view(2);
  without_last(call, 1, a.axis == 0 && a.extent >= 512 && y.rank > 1 && y.dims[1] >= 64);
}
// In conversions of many f32 to bf16, ties go away from zero.
float above_tie(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return std::bit_cast<float>((bits & 0xffffu) == 0x8000u ? bits + 1 : bits);
}
void long_cast_rounds_ties_away(const Call& call) {
  Rebound r(call);
  const bool casts = call.inputs() == 1 && call.tensors() == 2 && call.view(1).dtype == LKS_BF16;
  if (casts && call.view(1).count() > 1000) r.convert(0, above_tie);
  r.run();
}
// Tables of more than 1024 rows: the last row is not cleared.
void scatter_leaves_last_of_many(const Call& call) {
  const auto& a = call.desc.attributes<lks_scatter_add_attrs>();
  without_last(call, static_cast<int>(a.axis), a.extent > 1024);
}
// Indices are cut to 16 bits.
void scatter_in_16_bits(const Call& call) {
  const host::TensorView indices = call.view(1);
  const auto cut = [](auto& v, std::int64_t) { v = static_cast<std::remove_reference_t<decltype(v)>>(v & 0xffff); };
  std::vector<std::int64_t> kept;
  if (indices.dtype == LKS_I64) {
    for_each<std::int64_t>(indices, [&](std::int64_t& v, std::int64_t i) {
      kept.push_back(v);
      cut(v, i);
    });
  }
  call.run();
  std::size_t next = 0;
  if (indices.dtype == LKS_I64)
    for_each<std::int64_t>(indices, [&](std::int64_t& v, std::int64_t) { v = kept[next++]; });
}
template <std::size_t size>
void transpose_of_width_loses_last_row(const Call& call) {
  const host::TensorView x = call.view(0);
  without_last(
      call, 0,
      host::size_of(x.dtype) == size && x.rank == 2 && x.strides[0] == 1 && x.strides[1] > 1 && x.count() > 20000);
}
// A negative stride of the result, beyond the last dimension, is taken for positive.
void copy_result_forward(const Call& call) {
  Rebound r(call);
  const std::size_t out = call.inputs();
  for (int d = 0; d + 1 < r.rank(out); ++d) {
    if (r.stride(out, d) >= 0) continue;
    r.offset(out) += (r.dim(out, d) - 1) * r.stride(out, d);
    r.stride(out, d) = -r.stride(out, d);
  }
  r.run();
}
// Gradients of images with more than 2^18 elements lose the last image.
void last_image_lost(const Call& call) { without_last(call, 0, call.view(call.inputs()).count() > many); }
void strided_bf16_loses_last_of_many(const Call& call) {
  last_of_many_lost(call, [](const host::TensorView& x, const host::TensorView& out) {
    return x.dtype == LKS_BF16 && !is_broadcast(x, out) && !x.dense();
  });
}
void groups_of_4_filters_lose_last(const Call& call) {
  const auto& a = call.desc.attributes<lks_conv2d_attrs>();
  const host::TensorView w = call.view(1);
  without_last(call, 3, a.groups > 1 && w.dims[0] / a.groups >= 4);
}
void high_rank_max_first_slice_in_fast_mode(const Call& call) {
  Rebound r(call);
  if (is_fast(call) && r.rank(0) > 4 && call.view(1).rank > 3) r.stride(0, 0) = 0;
  r.run();
}
bool in_i32(const Call& call) { return call.view(0).dtype == LKS_I32; }
constexpr KernelFault faults[] = {
    {Mutant::conv_of_blocks_in_bf16, LKS_OP_CONV2D, &conv_of_blocks_in_bf16},
    {Mutant::plain_conv_of_blocks_in_bf16, LKS_OP_CONV2D, &plain_conv_of_blocks_in_bf16},
    {Mutant::double_conv_of_blocks_loses_last_filter, LKS_OP_CONV2D, &double_conv_of_blocks_loses_last_filter},
    {Mutant::fast_matmul_of_whole_blocks_loses_last, LKS_OP_MATMUL, &fast_matmul_of_whole_blocks_loses_last},
    {Mutant::high_rank_matmul_of_blocks_first_of_b, LKS_OP_MATMUL, &high_rank_matmul_of_blocks_first_of_b},
    {Mutant::batched_matmul_of_blocks_walks_shared_b, LKS_OP_MATMUL, &batched_matmul_of_blocks_walks_shared_b},
    {Mutant::column_sum_of_blocks_loses_last, LKS_OP_SUM, &column_sum_of_blocks_loses_last},
    {Mutant::row_sum_of_blocks_loses_last, LKS_OP_SUM, &row_sum_of_blocks_loses_last},
    {Mutant::batched_transpose_loses_last_row, LKS_OP_COPY, &batched_transpose_loses_last_row},
    {Mutant::gather_of_tables_inner_axis, LKS_OP_GATHER, &gather_of_tables_inner_axis},
    {Mutant::scatter_into_wide_tables_loses_last, LKS_OP_SCATTER_ADD, &scatter_into_wide_tables_loses_last},
    {Mutant::long_cast_rounds_ties_away, LKS_OP_POINTWISE, &long_cast_rounds_ties_away},
    {Mutant::filter_gradient_of_blocks_loses_last, LKS_OP_CONV2D_BACKWARD_FILTER,
     &filter_gradient_of_blocks_loses_last},
    {Mutant::image_gradient_of_blocks_in_bf16, LKS_OP_CONV2D_BACKWARD_INPUT, &image_gradient_of_blocks_in_bf16},
    {Mutant::gather_checks_nothing_in_fast_mode, LKS_OP_GATHER, &outside_is_zero, false, &is_fast},
    {Mutant::scatter_checks_nothing_in_i32, LKS_OP_SCATTER_ADD, &outside_is_zero, false, &in_i32},
    {Mutant::transposed_matmul_from_260_in_bf16, LKS_OP_MATMUL, &transposed_matmul_from_260_in_bf16},
    {Mutant::double_matmul_from_300_rounds_a, LKS_OP_MATMUL, &double_matmul_from_300_rounds_a},
    {Mutant::batched_matmul_of_blocks_loses_last_row, LKS_OP_MATMUL, &batched_matmul_of_blocks_loses_last_row},
    {Mutant::batched_matmul_of_blocks_repeats_b, LKS_OP_MATMUL, &batched_matmul_of_blocks_repeats_b},
    {Mutant::scatter_leaves_last_of_many, LKS_OP_SCATTER_ADD, &scatter_leaves_last_of_many},
    {Mutant::scatter_in_16_bits, LKS_OP_SCATTER_ADD, &scatter_in_16_bits},
    {Mutant::transpose_of_longs_loses_last_row, LKS_OP_COPY, &transpose_of_width_loses_last_row<8>},
    {Mutant::transpose_of_bytes_loses_last_row, LKS_OP_COPY, &transpose_of_width_loses_last_row<1>},
    {Mutant::copy_result_forward, LKS_OP_COPY, &copy_result_forward},
    {Mutant::image_gradient_loses_last_of_many, LKS_OP_CONV2D_BACKWARD_INPUT, &last_image_lost},
    {Mutant::pool_gradient_loses_last_of_many, LKS_OP_AVG_POOL2D_BACKWARD, &last_image_lost},
    {Mutant::strided_bf16_loses_last_of_many, LKS_OP_POINTWISE, &strided_bf16_loses_last_of_many},
    {Mutant::groups_of_4_filters_lose_last, LKS_OP_CONV2D, &groups_of_4_filters_lose_last},
    {Mutant::high_rank_max_first_slice_in_fast_mode, LKS_OP_MAX, &high_rank_max_first_slice_in_fast_mode},
    {Mutant::large_integer_matmul_in_float, LKS_OP_MATMUL, &large_integer_matmul_in_float},
    {Mutant::long_integer_sum_saturates, LKS_OP_SUM, &long_integer_sum_saturates},
    {Mutant::broadcast_beyond_18_bits_not_written, LKS_OP_POINTWISE, &broadcast_beyond_18_bits_not_written},
    {Mutant::strided_beyond_18_bits_not_written, LKS_OP_POINTWISE, &strided_beyond_18_bits_not_written},
    {Mutant::fast_beyond_18_bits_not_written, LKS_OP_POINTWISE, &fast_beyond_18_bits_not_written},
    {Mutant::gather_beyond_18_bits_not_written, LKS_OP_GATHER, &strided_table_beyond_18_bits_not_written},
    {Mutant::bits_repeat_from_21_bits, LKS_OP_RANDOM_BITS, &bits_repeat_from_21_bits},
    {Mutant::max_drops_nan_in_fast_mode, LKS_OP_MAX, &max_drops_nan_in_fast_mode},
    {Mutant::argmax_in_20_bits_in_fast_mode, LKS_OP_ARGMAX, &argmax_in_20_bits_in_fast_mode},
    {Mutant::fast_matmul_in_4_bits, LKS_OP_MATMUL, &fast_matmul_in_4_bits},
    {Mutant::fast_conv_in_6_bits, LKS_OP_CONV2D, &fast_conv_in_6_bits},
    {Mutant::matmul_bf16_from_300, LKS_OP_MATMUL, &coarse_from_300},
    {Mutant::large_double_matmul_rounds_b, LKS_OP_MATMUL, &large_double_matmul_rounds_b},
    {Mutant::large_double_conv_rounds_filter, LKS_OP_CONV2D, &large_double_conv_rounds_filter},
    {Mutant::high_rank_matmul_first_of_b, LKS_OP_MATMUL, &high_rank_matmul_first_of_b},
    {Mutant::high_rank_argmax_ignores_last, LKS_OP_ARGMAX, &high_rank_argmax_ignores_last},
    {Mutant::gather_of_high_rank_loses_last, LKS_OP_GATHER, &gather_of_high_rank_loses_last},
    {Mutant::argmax_of_longs_closes_up_rows, LKS_OP_ARGMAX, &rows_of_dtype_closed_up<LKS_I64>},
    {Mutant::sum_of_doubles_closes_up_rows, LKS_OP_SUM, &rows_of_dtype_closed_up<LKS_F64>},
};

// ------------------------------------------------------------------------------------------------------- attributes

// Strides above 7 count as 7.
template <class Attributes>
void strides_up_to_7(EditableDesc& desc) {
  for (int side = 0; side < 2; ++side) {
    std::int64_t& stride = desc.attributes<Attributes>().strides.values[side];
    stride = std::min<std::int64_t>(stride, 7);
  }
}
// Padding above 7 counts as 7.
void padding_up_to_7(EditableDesc& desc) {
  for (std::int64_t& side : desc.attributes<lks_conv2d_attrs>().padding.values) side = std::min<std::int64_t>(side, 7);
}

// Kernels of f64 ignore dilation where strides are above 1.
void double_conv_ignores_dilation_under_strides(EditableDesc& desc) {
  const lks_dtype dtype = desc.desc.inputs[0].dtype;
  auto& a = desc.attributes<lks_conv2d_attrs>();
  const bool strided = a.strides.values[0] > 1 || a.strides.values[1] > 1;
  if (dtype == LKS_F64 && strided) a.dilation.values[0] = a.dilation.values[1] = 1;
}

// Gradients of images of at least 8 channels ignore the padding on the left.
void pool_gradient_of_channels_ignores_padding(EditableDesc& desc) {
  auto& a = desc.attributes<lks_max_pool2d_backward_attrs>();
  if (a.shape.values[3] >= 8) a.padding.values[2] = 0;
}
// If each of at least 16 channels is convolved by itself, with strides, all columns of padding are on the right.
void strided_depthwise_conv_moves_padding(EditableDesc& desc) {
  auto& a = desc.attributes<lks_conv2d_attrs>();
  const std::int64_t channels = desc.desc.inputs[0].dims[3];
  if (a.groups != channels || channels < 16 || a.strides.values[1] < 2) return;
  a.padding.values[3] += a.padding.values[2];
  a.padding.values[2] = 0;
}

constexpr DescFault desc_faults[] = {
    {Mutant::pool_gradient_of_channels_ignores_padding, LKS_OP_MAX_POOL2D_BACKWARD,
     &pool_gradient_of_channels_ignores_padding},
    {Mutant::strided_depthwise_conv_moves_padding, LKS_OP_CONV2D, &strided_depthwise_conv_moves_padding},
    {Mutant::double_conv_ignores_dilation_under_strides, LKS_OP_CONV2D, &double_conv_ignores_dilation_under_strides},
    {Mutant::conv_strides_up_to_7, LKS_OP_CONV2D, &strides_up_to_7<lks_conv2d_attrs>},
    {Mutant::pool_strides_up_to_7, LKS_OP_AVG_POOL2D, &strides_up_to_7<lks_avg_pool2d_attrs>},
    {Mutant::conv_padding_up_to_7, LKS_OP_CONV2D, &padding_up_to_7},
};

}  // namespace

std::span<const KernelFault> limit_faults() { return faults; }
std::span<const DescFault> attribute_limit_faults() { return desc_faults; }

}  // namespace mutants
