// Faults that begin at a limit: of elements, rank, stride or window, or of the bits of an operand. Some are in one
// dtype or in fast mode only.
#include <algorithm>
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
bool is_dense(const host::TensorView& t) {
  std::int64_t next = 1;
  for (int d = t.rank - 1; d >= 0; --d) {
    if (t.dims[d] > 1 && t.strides[d] != next) return false;
    next *= t.dims[d];
  }
  return true;
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
  last_of_many_lost(call, [](const host::TensorView& x, const host::TensorView& out) {
    return !is_broadcast(x, out) && !is_dense(x);
  });
}
void strided_table_beyond_18_bits_not_written(const Call& call) {
  without_last(call, 0, !is_dense(call.view(0)) && call.view(2).count() > many);
}
void fast_beyond_18_bits_not_written(const Call& call) {
  last_of_many_lost(call, [&](const host::TensorView&, const host::TensorView&) { return is_fast(call); });
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
    r.convert<double>(1, [](double x) { return static_cast<double>(static_cast<float>(x)); });
  }
  r.run();
}
void large_double_conv_rounds_filter(const Call& call) {
  Rebound r(call);
  if (call.view(call.inputs()).count() > 5000) {
    r.convert<double>(1, [](double x) { return static_cast<double>(static_cast<float>(x)); });
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

constexpr KernelFault faults[] = {
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

constexpr DescFault desc_faults[] = {
    {Mutant::conv_strides_up_to_7, LKS_OP_CONV2D, &strides_up_to_7<lks_conv2d_attrs>},
    {Mutant::pool_strides_up_to_7, LKS_OP_AVG_POOL2D, &strides_up_to_7<lks_avg_pool2d_attrs>},
    {Mutant::conv_padding_up_to_7, LKS_OP_CONV2D, &padding_up_to_7},
};

}  // namespace

std::span<const KernelFault> limit_faults() { return faults; }
std::span<const DescFault> attribute_limit_faults() { return desc_faults; }

}  // namespace mutants
