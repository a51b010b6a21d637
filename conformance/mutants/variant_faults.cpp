// Faults in the kernels that a driver selects for large calls: for blocks of channels, batches, sums that are split,
// long or wide products, and tensors of many elements. Kernels for smaller calls are right.
#include <algorithm>
#include <cmath>
#include <limits>

#include "conformance/mutants/faulty_runs.h"
#include "conformance/mutants/terms.h"

namespace mutants {
namespace {

void make_inputs_dense(const Call& call, bool applies) {
  Rebound r(call);
  for (std::size_t i = 0; applies && i < call.inputs(); ++i) {
    if (r.has(i)) r.make_dense_if_inside(i);
  }
  r.run();
}

// ------------------------------------------------------------------------------------------------------- convolutions

bool has_blocks(const Call& call, std::int64_t min) { return has_blocks_of(call.view(1).dims, min); }

void conv_of_blocks_ignores_strides(const Call& call) { make_inputs_dense(call, has_blocks(call, 64)); }
void image_gradient_of_blocks_ignores_strides(const Call& call) {
  make_inputs_dense(call, has_blocks(call, 64) && call.view(0).dtype == LKS_F64);
}
void conv_of_blocks_bounds_infinities(const Call& call) {
  Rebound r(call);
  const float most = std::numeric_limits<float>::max();
  if (has_blocks(call, 64)) r.convert(0, [most](float x) { return std::isnan(x) ? x : std::clamp(x, -most, most); });
  r.run();
}
// Filters of one pixel.
void wide_pixel_conv_loses_last_filter(const Call& call) {
  const host::TensorView filter = call.view(1);
  without_last(call, 3, is_pixel(filter.dims) && has_blocks(call, 49));
}
// Filters of one channel each, several for each group.
void multiplied_depthwise_loses_last_filter(const Call& call) {
  const auto& a = call.desc.attributes<lks_conv2d_attrs>();
  const host::TensorView filter = call.view(1);
  without_last(call, 3, filter.dims[3] == 1 && a.groups > 8 && filter.dims[0] > a.groups);
}
// Groups of at least 16 channels and filters: all read the channels of the first.
void groups_of_blocks_as_one(EditableDesc& e) {
  const lks_tensor_desc& filter = e.desc.inputs[1];
  const std::int64_t groups = e.attributes<lks_conv2d_attrs>().groups;
  if (groups > 1 && filter.dims[3] >= 16 && filter.dims[0] >= 16 * groups) {
    e.attributes<lks_conv2d_attrs>().groups = 1;
  }
}

// ------------------------------------------------------------------------------------------------------------ products

// Batches of large matrices, one operand of which is dense and the other one stored in another order.
template <std::size_t other>
void batches_ignore_order_of_one(const Call& call) {
  const bool is_batch = call.view(2).rank == 3 && Product(call).is_large(64) && call.view(1 - other).dense();
  Rebound r(call);
  if (is_batch && r.stride(other, 1) == 1 && r.stride(other, 2) > 1) r.make_dense(other);
  r.run();
}
void large_matmul_skips_zeros(const Call& call) {
  if (!Product(call).is_large(100)) return call.run();
  matmul_by(call, [](float, Terms a, Terms b) {
    float total = 0;
    for (std::size_t k = 0; k < a.size(); ++k) {
      if (a[k] != 0 && b[k] != 0) total += a[k] * b[k];
    }
    return total;
  });
}
void large_matmul_saturates(const Call& call) {
  if (!Product(call).is_large(100)) return call.run();
  matmul_by(call, [](float, Terms a, Terms b) {
    double total = 0;
    for (std::size_t k = 0; k < a.size(); ++k) total += static_cast<double>(a[k]) * static_cast<double>(b[k]);
    const double most = std::numeric_limits<float>::max();
    return static_cast<float>(std::isfinite(total) ? std::clamp(total, -most, most) : total);
  });
}
void larger_matmul_loses_denormals(const Call& call) {
  Rebound r(call);
  for (const std::size_t i : {0, 1}) {
    if (Product(call).is_large(100)) r.convert(i, [](float x) { return std::fabs(x) < 0x1p-126f ? 0 : x; });
  }
  r.run();
}
void without_last_product(const Call& call, bool applies) {
  const std::int64_t k = Product(call).k;
  first_products(call, applies && k > 1 ? k - 1 : k);
}
// Long sums with many results.
void split_matmul_loses_last_product(const Call& call) {
  const Product p(call);
  without_last_product(call, p.k >= 2000 && p.m >= 64 && p.n >= 64);
}
void fast_split_matmul_loses_last_product(const Call& call) {
  is_fast(call) ? split_matmul_loses_last_product(call) : call.run();
}
// Many rows of few columns.
bool is_skinny(const Product& p) { return p.m > 200 && p.n < 16; }
void fast_skinny_matmul_loses_last_row(const Call& call) {
  without_last(call, -2, is_fast(call) && is_skinny(Product(call)));
}
void integer_skinny_matmul_loses_last_product(const Call& call) {
  const bool is_integer = call.view(2).dtype == LKS_I32 || call.view(2).dtype == LKS_I64;
  without_last_product(call, is_integer && is_skinny(Product(call)));
}
// Rows with gaps behind them are read as if there were none.
void gaps_ignored(const Call& call, bool applies) {
  Rebound r(call);
  for (const std::size_t i : {0, 1}) {
    if (applies) r.close_up_rows(i);
  }
  r.run();
}
void fast_large_matmul_closes_up_rows(const Call& call) {
  gaps_ignored(call, is_fast(call) && Product(call).is_large(100));
}
void large_double_matmul_closes_up_rows(const Call& call) {
  gaps_ignored(call, call.view(0).dtype == LKS_F64 && Product(call).is_large(100));
}
void fast_double_matmul_in_f32(const Call& call) {
  Rebound r(call);
  for (const std::size_t i : {0, 1}) {
    if (is_fast(call)) r.convert<double>(i, as_f32);
  }
  r.run();
}
void fast_double_sum_in_f32(const Call& call) {
  Rebound r(call);
  if (is_fast(call)) r.convert<double>(0, as_f32);
  r.run();
}
// The kernel keeps the strides of the call for which it was prepared, where they are smaller, so that it reads inside.
void fast_matmul_keeps_strides(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; is_fast(call) && i < 2; ++i) {
    const lks_tensor_desc& t = call.desc.desc.inputs[i];
    bool same = true;
    for (int d = 0; d < r.rank(i); ++d)
      same = same && r.dim(i, d) == t.dims[d] && t.strides[d] > 0 && r.stride(i, d) > 0;
    for (int d = 0; same && d < r.rank(i); ++d) r.stride(i, d) = std::min(r.stride(i, d), t.strides[d]);
  }
  r.run();
}

// ------------------------------------------------------------------------------------------------- tensors of any kind

void large_transpose_loses_last_row(const Call& call) {
  const host::TensorView x = call.view(0);
  without_last(call, 0,
               x.rank == 2 && x.dtype == LKS_F32 && x.strides[0] == 1 && x.strides[1] > 1 && x.count() > 20000);
}
void large_matmul_writes_past_the_end(const Call& call) {
  call.run();
  if (Product(call).m > 60 && Product(call).k > 200) write_byte_behind(call);
}
void double_program_writes_past_the_end(const Call& call) {
  call.run();
  if (call.view(call.inputs()).dtype == LKS_F64) write_byte_behind(call);
}
void long_vector_max_skips_nan(const Call& call) {
  const host::TensorView x = call.view(0);
  Rebound r(call);
  if (x.rank == 1 && x.count() > 65536) r.convert(0, [](float v) { return std::isnan(v) ? -INFINITY : v; });
  r.run();
}
constexpr std::int64_t many = 1 << 18;
void large_program_loses_nan(const Call& call) {
  call.run();
  const host::TensorView y = call.view(call.inputs());
  if (y.dtype == LKS_F32 && y.count() > many)
    for_each<float>(y, [](float& v, std::int64_t) { v = std::isnan(v) ? 0 : v; });
}
void large_program_flushes_denormals(const Call& call) {
  call.run();
  const host::TensorView y = call.view(call.inputs());
  if (y.dtype != LKS_F32 || y.count() <= many) return;
  for_each<float>(y, [](float& v, std::int64_t) { v = std::fabs(v) < 0x1p-126f ? std::copysign(0.0f, v) : v; });
}
void large_double_program_loses_last_row(const Call& call) {
  const host::TensorView y = call.view(call.inputs());
  without_last(call, 0, y.dtype == LKS_F64 && y.count() > many);
}
void large_integer_gather_loses_last_row(const Call& call) {
  const host::TensorView y = call.view(2);
  without_last(call, 0, y.dtype == LKS_I64 && y.count() > many);
}
void large_cast_to_integer_loses_last(const Call& call) {
  const host::TensorView y = call.view(call.inputs());
  without_last(call, -1, call.view(0).dtype == LKS_F32 && y.dtype == LKS_I32 && y.rank == 1 && y.count() > many);
}
void argmax_flushes_denormals(const Call& call) {
  Rebound r(call);
  r.convert(0, [](float x) { return std::fabs(x) < 0x1p-126f ? 0 : x; });
  r.run();
}

constexpr KernelFault faults[] = {
    {Mutant::conv_of_blocks_ignores_strides, LKS_OP_CONV2D, &conv_of_blocks_ignores_strides},
    {Mutant::image_gradient_of_blocks_ignores_strides, LKS_OP_CONV2D_BACKWARD_INPUT,
     &image_gradient_of_blocks_ignores_strides},
    {Mutant::conv_of_blocks_bounds_infinities, LKS_OP_CONV2D, &conv_of_blocks_bounds_infinities},
    {Mutant::wide_pixel_conv_loses_last_filter, LKS_OP_CONV2D, &wide_pixel_conv_loses_last_filter},
    {Mutant::multiplied_depthwise_loses_last_filter, LKS_OP_CONV2D, &multiplied_depthwise_loses_last_filter},
    {Mutant::batches_ignore_order_of_first, LKS_OP_MATMUL, &batches_ignore_order_of_one<0>},
    {Mutant::batches_ignore_order_of_second, LKS_OP_MATMUL, &batches_ignore_order_of_one<1>},
    {Mutant::large_matmul_skips_zeros, LKS_OP_MATMUL, &large_matmul_skips_zeros},
    {Mutant::large_matmul_saturates, LKS_OP_MATMUL, &large_matmul_saturates},
    {Mutant::larger_matmul_loses_denormals, LKS_OP_MATMUL, &larger_matmul_loses_denormals},
    {Mutant::split_matmul_loses_last_product, LKS_OP_MATMUL, &split_matmul_loses_last_product},
    {Mutant::fast_split_matmul_loses_last_product, LKS_OP_MATMUL, &fast_split_matmul_loses_last_product},
    {Mutant::fast_skinny_matmul_loses_last_row, LKS_OP_MATMUL, &fast_skinny_matmul_loses_last_row},
    {Mutant::integer_skinny_matmul_loses_last_product, LKS_OP_MATMUL, &integer_skinny_matmul_loses_last_product},
    {Mutant::fast_large_matmul_closes_up_rows, LKS_OP_MATMUL, &fast_large_matmul_closes_up_rows},
    {Mutant::large_double_matmul_closes_up_rows, LKS_OP_MATMUL, &large_double_matmul_closes_up_rows},
    {Mutant::fast_double_matmul_in_f32, LKS_OP_MATMUL, &fast_double_matmul_in_f32},
    {Mutant::fast_double_sum_in_f32, LKS_OP_SUM, &fast_double_sum_in_f32},
    {Mutant::fast_matmul_keeps_strides, LKS_OP_MATMUL, &fast_matmul_keeps_strides},
    {Mutant::large_transpose_loses_last_row, LKS_OP_COPY, &large_transpose_loses_last_row},
    {Mutant::lockstep_large_transpose_loses_last_row, LKS_OP_COPY, &large_transpose_loses_last_row},
    {Mutant::matmul_offsets_in_32_bits, LKS_OP_MATMUL, &offsets_in_32_bits},
    {Mutant::sum_strides_in_30_bits, LKS_OP_SUM, &strides_cut<30>},
    {Mutant::large_matmul_writes_past_the_end, LKS_OP_MATMUL, &large_matmul_writes_past_the_end},
    {Mutant::double_program_writes_past_the_end, LKS_OP_POINTWISE, &double_program_writes_past_the_end},
    {Mutant::long_vector_max_skips_nan, LKS_OP_MAX, &long_vector_max_skips_nan},
    {Mutant::large_program_loses_nan, LKS_OP_POINTWISE, &large_program_loses_nan},
    {Mutant::large_program_flushes_denormals, LKS_OP_POINTWISE, &large_program_flushes_denormals},
    {Mutant::lockstep_large_double_program_loses_last_row, LKS_OP_POINTWISE, &large_double_program_loses_last_row},
    {Mutant::lockstep_large_integer_gather_loses_last_row, LKS_OP_GATHER, &large_integer_gather_loses_last_row},
    {Mutant::large_cast_to_integer_loses_last, LKS_OP_POINTWISE, &large_cast_to_integer_loses_last},
    {Mutant::argmax_flushes_denormals, LKS_OP_ARGMAX, &argmax_flushes_denormals},
};

constexpr DescFault desc_faults[] = {
    {Mutant::groups_of_blocks_read_first_channels, LKS_OP_CONV2D, &groups_of_blocks_as_one, true},
};

}  // namespace

std::span<const KernelFault> variant_faults() { return faults; }
std::span<const DescFault> variant_attribute_faults() { return desc_faults; }

}  // namespace mutants
