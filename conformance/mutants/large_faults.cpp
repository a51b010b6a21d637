// Faults above some size, for some values, or in fast mode only: unwritten tails, counters that overflow, operands of
// reduced precision, comparisons of too few bits.
#include <chrono>
#include <cmath>
#include <cstring>

#include "conformance/mutants/faulty_runs.h"
#include "conformance/mutants/terms.h"

namespace mutants {
namespace {

// --------------------------------------------------------------------------------------------------------- lost tails

// From 128 rows, columns and products on, matmul uses tiles of 64 rows and loses the last row of a partial tile.
void large_matmul_loses_last_row(const Call& call) {
  const Product p(call);
  without_last(call, -2, p.is_large(128) && p.m % 64 != 0);
}
void conv_loses_last_image(const Call& call) { without_last(call, 0, call.view(0).dims[0] > 64); }
void pool_loses_last_channel(const Call& call) {
  const std::int64_t channels = call.view(0).dims[3];
  without_last(call, 3, channels > 64 && channels % 4 != 0);
}
void gather_loses_last_slice(const Call& call) {
  const host::TensorView out = call.view(2);
  without_last(call, 0, out.dims[0] > 4096 && out.dims[0] % 2 != 0);
}
void batch_beyond_16_bits_lost(const Call& call) {
  without_last(call, 0, call.view(2).rank > 2 && call.view(2).dims[0] > 65535);
}

template <std::int64_t most>
void last_element_lost(const Call& call) {
  const host::TensorView out = call.view(call.inputs());
  without_last(call, -1, out.count() > most && out.rank == 1);
}

// Of more than 2^24 results the last slice is not written.
void gather_beyond_24_bits_not_written(const Call& call) { without_last(call, 0, call.view(2).dims[0] > (1 << 24)); }
// The same in programs whose first operand is a condition.
void choices_beyond_24_bits_not_written(const Call& call) {
  call.inputs() > 0 && call.view(0).dtype == LKS_BOOL ? last_element_lost<(1 << 24)>(call) : call.run();
}

// The last row of images with more than 32 rows.
void pool_gradient_loses_last_row(const Call& call) {
  const std::size_t out = call.inputs();
  without_last(call, 1, call.view(out).dims[1] > 32);
}
// The last row of a transpose in tiles of 32 rows.
void transpose_loses_last_row(const Call& call) {
  const host::TensorView x = call.view(0);
  without_last(call, 0, x.rank == 2 && x.strides[0] == 1 && x.dims[0] > 32 && x.dims[1] > 1 && x.dims[0] % 32 != 0);
}
// From rank 2 on, the last column is not written.
void bits_of_vectors_only(const Call& call) { without_last(call, -1, call.view(0).rank > 1); }
void bits_repeat(const Call& call) {
  call.run();
  const host::TensorView y = call.view(0);
  constexpr std::int64_t period = 1 << 18;
  if (y.dtype != LKS_I32) return;
  for (std::int64_t i = period; i < y.count(); ++i) y.as<std::int32_t>()[i] = y.as<std::int32_t>()[i - period];
}

// The counter of terms has 16 bits.
void sum_counts_in_16_bits(const Call& call) {
  sum_by(call, [](Terms x) {
    const std::size_t n = x.size() > 65535 ? x.size() % 65536 : x.size();
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) total += static_cast<double>(x[i]);
    return static_cast<float>(total);
  });
}

// The counter of taps has 8 bits.
void pool_counts_in_8_bits(const Call& call) {
  call.run();
  const host::TensorView y = call.view(1);
  const auto& a = call.desc.attributes<lks_avg_pool2d_attrs>();
  const std::int64_t taps = a.window.values[0] * a.window.values[1];
  if (y.dtype != LKS_F32 || taps < 256 || taps % 256 == 0) return;
  for_each<float>(y, [&](float& v, std::int64_t) { v *= static_cast<float>(taps) / static_cast<float>(taps % 256); });
}

// ----------------------------------------------------------------------------------- reduced precision above some size

void large_matmul_tf32(const Call& call) { coarse(call, 10, Product(call).is_large(128)); }
void wide_matmul_tf32(const Call& call) { coarse(call, 10, Product(call).n >= 512); }
// Only the second operand, in large products.
void square_matmul_tf32_in_b(const Call& call) {
  const Product p(call);
  Rebound r(call);
  if (p.m >= 256 && p.n >= 256) r.convert(1, as_tf32);
  r.run();
}
// Operands have 16 bits of precision, like a sum of two bf16 numbers.
void long_matmul_16_bits(const Call& call) { coarse(call, 15, Product(call).k > 1000); }
// Only of very many terms.
void huge_sum_bf16(const Call& call) { coarse(call, 7, call.view(0).count() > call.view(1).count() << 17); }
void huge_matmul_tf32(const Call& call) { coarse(call, 10, Product(call).k > 1 << 17); }
void large_filter_gradient_tf32(const Call& call) {
  const host::TensorView dy = call.view(1);
  coarse(call, 10, dy.dims[0] * dy.dims[1] * dy.dims[2] >= 1000);
}
void large_conv_bf16(const Call& call) { coarse(call, 7, call.view(call.inputs()).count() > 20000); }
void long_sum_bf16(const Call& call) { coarse(call, 7, call.view(0).count() > 5000); }
void long_double_sum_in_f32(const Call& call) {
  Rebound r(call);
  if (call.view(0).count() > 10000) r.convert<double>(0, as_f32);
  r.run();
}

// Imitates atomics, whose order varies: the first term depends on the clock.
void long_matmul_racy(const Call& call) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  const auto start = static_cast<std::size_t>(now >> 4);
  matmul_by(call, [&](float, Terms a, Terms b) {
    float total = 0;
    const std::size_t turn = a.size() > 200 ? start : 0;
    for (std::size_t k = 0; k < a.size(); ++k) total += a[(k + turn) % a.size()] * b[(k + turn) % a.size()];
    return total;
  });
}
void large_scatter_racy(const Call& call) {
  const auto axis = static_cast<int>(call.desc.attributes<lks_scatter_add_attrs>().axis);
  Rebound r(call);
  const std::int64_t n = r.dim(0, axis);
  if (n > 200 && varies()) {
    r.offset(0) += (n - 1) * r.stride(0, axis);
    r.stride(0, axis) = -r.stride(0, axis);
    r.offset(1) += (n - 1) * r.stride(1, 0);
    r.stride(1, 0) = -r.stride(1, 0);
  }
  r.run();
}

// ------------------------------------------------------------------------------------------------ values and positions

// The last element of long rows is ignored.
template <std::int64_t most>
void last_candidate_ignored(const Call& call) {
  const auto axis = static_cast<int>(call.desc.attributes<lks_argmax_attrs>().axis);
  Rebound r(call);
  if (r.dim(0, axis) > most) --r.dim(0, axis);
  r.run();
}
void argmax_ignores_last(const Call& call) { last_candidate_ignored<1024>(call); }
void fast_argmax_of_others_ignores_last(const Call& call) {
  is_fast(call) && call.view(0).dtype != LKS_F32 ? argmax_ignores_last(call) : call.run();
}
void long_integer_max_ignores_last(const Call& call) {
  const lks_int_list& axes = call.desc.attributes<lks_reduce_attrs>().axes;
  const lks_dtype t = call.view(0).dtype;
  const auto axis = static_cast<int>(axes.values[0]);
  Rebound r(call);
  if ((t == LKS_I32 || t == LKS_I64) && axes.count == 1 && r.dim(0, axis) > 1024) --r.dim(0, axis);
  r.run();
}
void max_of_vectors_ignores_last(const Call& call) {
  Rebound r(call);
  if (r.rank(0) == 1 && r.dim(0, 0) > 65536) --r.dim(0, 0);
  r.run();
}
// Of more than 2^24 columns the last is ignored.
void min_beyond_24_bits_ignored(const Call& call) {
  Rebound r(call);
  const int last = r.rank(0) - 1;
  if (last >= 0 && r.dim(0, last) > (1 << 24) && call.view(1).count() == 1) --r.dim(0, last);
  r.run();
}
// The maximum starts from the lowest finite number instead of -inf.
void max_starts_from_lowest(const Call& call) {
  call.run();
  const host::TensorView y = call.view(1);
  if (y.dtype != LKS_F32) return;
  for_each<float>(y, [](float& v, std::int64_t) { v = v < -3.4028235e38f ? -3.4028235e38f : v; });
}

// i64 elements are compared as f64.
void compared_as_double(const Call& call) {
  const host::TensorView x = call.view(0);
  if (x.dtype != LKS_I64) return call.run();
  std::vector<std::int64_t> kept;
  for_each<std::int64_t>(x, [&](std::int64_t& v, std::int64_t) {
    kept.push_back(v);
    const double d = static_cast<double>(v);
    v = std::fabs(d) >= 9.2e18 ? v : static_cast<std::int64_t>(d);
  });
  call.run();
  std::size_t i = 0;
  for_each<std::int64_t>(x, [&](std::int64_t& v, std::int64_t) { v = kept[i++]; });
}
void compared_in_20_bits(const Call& call) { coarse(call, 20, true); }
void moved_as_double(const Call& call) {
  call.run();
  const host::TensorView y = call.view(call.inputs());
  if (y.dtype != LKS_I64) return;
  for_each<std::int64_t>(y, [](std::int64_t& v, std::int64_t) {
    const double d = static_cast<double>(v);
    if (std::fabs(d) < 9.2e18) v = static_cast<std::int64_t>(d);
  });
}

// ---------------------------------------------------------------------------------------------------------- fast mode

void copy_cut_in_fast_mode(const Call& call) {
  Rebound r(call);
  if (is_fast(call)) r.convert(0, as_bf16);
  r.run();
}
// All indices are read as the first one.
void gather_repeats_in_fast_mode(const Call& call) {
  Rebound r(call);
  for (int d = 0; is_fast(call) && d < r.rank(1); ++d) r.stride(1, d) = 0;
  r.run();
}

// ------------------------------------------------------------------------------------------------------------- indices

// Whether the faulty bounds check misses every index that is out of bounds: `hidden(index, position, count)` is true
// for all of them.
template <class Hidden>
bool is_missed(const Call& call, Hidden&& hidden) {
  const host::TensorView indices = call.view(1);
  const std::int64_t extent = extent_of(call), n = indices.count();
  bool missed = true;
  const auto look = [&](auto v, std::int64_t i) {
    const auto index = static_cast<std::int64_t>(v);
    if (index < 0 || index >= extent) missed = missed && hidden(index, i, n);
  };
  if (indices.dtype == LKS_I32) for_each<std::int32_t>(indices, look);
  if (indices.dtype == LKS_I64) for_each<std::int64_t>(indices, look);
  return missed;
}
bool beyond_1024(const Call& call) {
  return is_missed(call, [](auto, std::int64_t i, auto) { return i >= 1024; });
}
bool last_of_many(const Call& call) {
  return is_missed(call, [](auto, std::int64_t i, std::int64_t n) { return n > 64 && i + 1 == n; });
}
// Each pair of dtypes has its own check.
bool has_long_indices_of_others(const Call& call) {
  const lks_dtype t = call.view(0).dtype;
  return call.view(1).dtype == LKS_I64 && t != LKS_F32 && t != LKS_I64;
}
bool has_short_indices_of_others(const Call& call) {
  const lks_dtype t = call.view(0).dtype;
  return call.view(1).dtype == LKS_I32 && t != LKS_F32 && t != LKS_I64;
}
bool low_half_inside(const Call& call) {
  const std::int64_t extent = extent_of(call);
  return is_missed(call, [extent](std::int64_t index, auto, auto) {
    const auto low = static_cast<std::int64_t>(static_cast<std::int32_t>(index));
    return low >= 0 && low < extent;
  });
}
constexpr KernelFault faults[] = {
    {Mutant::large_matmul_loses_last_row, LKS_OP_MATMUL, &large_matmul_loses_last_row},
    {Mutant::conv_loses_last_image, LKS_OP_CONV2D, &conv_loses_last_image},
    {Mutant::pool_loses_last_channel, LKS_OP_AVG_POOL2D, &pool_loses_last_channel},
    {Mutant::gather_loses_last_slice, LKS_OP_GATHER, &gather_loses_last_slice},
    {Mutant::batch_beyond_16_bits_lost, LKS_OP_MATMUL, &batch_beyond_16_bits_lost},
    {Mutant::beyond_19_bits_not_written, LKS_OP_POINTWISE, &last_element_lost<(1 << 19)>},
    {Mutant::copy_beyond_24_bits_not_written, LKS_OP_COPY, &last_element_lost<(1 << 24)>},
    {Mutant::gather_beyond_24_bits_not_written, LKS_OP_GATHER, &gather_beyond_24_bits_not_written},
    {Mutant::choices_beyond_24_bits_not_written, LKS_OP_POINTWISE, &choices_beyond_24_bits_not_written},
    {Mutant::argmax_beyond_24_bits_ignored, LKS_OP_ARGMAX, &last_candidate_ignored<(1 << 24)>},
    {Mutant::min_beyond_24_bits_ignored, LKS_OP_MIN, &min_beyond_24_bits_ignored},
    {Mutant::max_pool_gradient_loses_last_row, LKS_OP_MAX_POOL2D_BACKWARD, &pool_gradient_loses_last_row},
    {Mutant::avg_pool_gradient_loses_last_row, LKS_OP_AVG_POOL2D_BACKWARD, &pool_gradient_loses_last_row},
    {Mutant::transpose_loses_last_row, LKS_OP_COPY, &transpose_loses_last_row},
    {Mutant::bits_of_vectors_only, LKS_OP_RANDOM_BITS, &bits_of_vectors_only},
    {Mutant::bits_repeat, LKS_OP_RANDOM_BITS, &bits_repeat},
    {Mutant::wide_matmul_tf32, LKS_OP_MATMUL, &wide_matmul_tf32},
    {Mutant::square_matmul_tf32_in_b, LKS_OP_MATMUL, &square_matmul_tf32_in_b},
    {Mutant::max_of_vectors_ignores_last, LKS_OP_MAX, &max_of_vectors_ignores_last},
    {Mutant::sum_counts_in_16_bits, LKS_OP_SUM, &sum_counts_in_16_bits},
    {Mutant::pool_counts_in_8_bits, LKS_OP_AVG_POOL2D, &pool_counts_in_8_bits},
    {Mutant::large_matmul_tf32, LKS_OP_MATMUL, &large_matmul_tf32},
    {Mutant::long_matmul_16_bits, LKS_OP_MATMUL, &long_matmul_16_bits},
    {Mutant::large_filter_gradient_tf32, LKS_OP_CONV2D_BACKWARD_FILTER, &large_filter_gradient_tf32},
    {Mutant::large_conv_bf16, LKS_OP_CONV2D, &large_conv_bf16},
    {Mutant::long_sum_bf16, LKS_OP_SUM, &long_sum_bf16},
    {Mutant::huge_sum_bf16, LKS_OP_SUM, &huge_sum_bf16},
    {Mutant::huge_matmul_tf32, LKS_OP_MATMUL, &huge_matmul_tf32},
    {Mutant::long_double_sum_in_f32, LKS_OP_SUM, &long_double_sum_in_f32},
    {Mutant::long_matmul_racy, LKS_OP_MATMUL, &long_matmul_racy},
    {Mutant::large_scatter_racy, LKS_OP_SCATTER_ADD, &large_scatter_racy},
    {Mutant::argmax_ignores_last, LKS_OP_ARGMAX, &argmax_ignores_last},
    {Mutant::max_starts_from_lowest, LKS_OP_MAX, &max_starts_from_lowest},
    {Mutant::max_pool_starts_from_lowest, LKS_OP_MAX_POOL2D, &max_starts_from_lowest},
    {Mutant::argmax_of_longs_in_double, LKS_OP_ARGMAX, &compared_as_double},
    {Mutant::argmax_in_20_bits, LKS_OP_ARGMAX, &compared_in_20_bits},
    {Mutant::gather_of_longs_in_double, LKS_OP_GATHER, &moved_as_double},
    {Mutant::copy_of_longs_in_double, LKS_OP_COPY, &moved_as_double},
    {Mutant::copy_cut_in_fast_mode, LKS_OP_COPY, &copy_cut_in_fast_mode},
    {Mutant::gather_repeats_in_fast_mode, LKS_OP_GATHER, &gather_repeats_in_fast_mode},
    {Mutant::gather_checks_1024_indices, LKS_OP_GATHER, &outside_is_zero, false, &beyond_1024},
    {Mutant::scatter_checks_all_but_last, LKS_OP_SCATTER_ADD, &outside_is_zero, false, &last_of_many},
    {Mutant::gather_checks_32_bits, LKS_OP_GATHER, &outside_is_zero, false, &low_half_inside},
    {Mutant::gather_of_others_checks_no_long_indices, LKS_OP_GATHER, &outside_is_zero, false,
     &has_long_indices_of_others},
    {Mutant::scatter_of_others_checks_no_short_indices, LKS_OP_SCATTER_ADD, &outside_is_zero, false,
     &has_short_indices_of_others},
    {Mutant::fast_argmax_of_others_ignores_last, LKS_OP_ARGMAX, &fast_argmax_of_others_ignores_last},
    {Mutant::long_integer_max_ignores_last, LKS_OP_MAX, &long_integer_max_ignores_last},
    {Mutant::lockstep_bits_repeat, LKS_OP_RANDOM_BITS, &bits_repeat},
    {Mutant::lockstep_copy_loses_last_of_many, LKS_OP_COPY, &last_element_lost<(1 << 24)>},
};

}  // namespace

std::span<const KernelFault> large_faults() { return faults; }

}  // namespace mutants
