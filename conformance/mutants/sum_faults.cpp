// Faults in sums, matrix products and convolutions: precision, order, lost terms.
#include <chrono>
#include <cmath>

#include "conformance/mutants/faulty_runs.h"
#include "conformance/mutants/terms.h"

namespace mutants {
namespace {

// -------------------------------------------------------------------------------------- operands of reduced precision

template <float (*Coarse)(float)>
void coarse_operands(const Call& call) {
  Rebound r(call);
  r.convert(0, Coarse);
  r.convert(1, Coarse);
  r.run();
}

// TF32 operands, as from a tensor-core kernel that a library uses only for long inner dimensions.
void matmul_tf32_long_k(const Call& call) {
  const host::TensorView a = call.view(0);
  a.dims[a.rank - 1] >= 128 ? coarse_operands<&as_tf32>(call) : call.run();
}

float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

// The kernel for large products flushes denormal operands.
void large_matmul_loses_denormals(const Call& call) {
  const host::TensorView a = call.view(0), b = call.view(1);
  a.dims[a.rank - 2] > 64 && b.dims[b.rank - 1] > 64 ? coarse_operands<&flushed>(call) : call.run();
}

void wide_filter_gradient_loses_denormals(const Call& call) {
  call.view(1).dims[3] > 32 ? coarse_operands<&flushed>(call) : call.run();
}

// Operands are skipped if they are infinite or NaN, as in kernels that mask by multiplication.
float finite_or_zero(float x) { return std::isfinite(x) ? x : 0; }

// f64 operands are converted to f32 and back, as on a device without f64.
void double_operands_in_f32(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; i < call.inputs(); ++i) r.convert<double>(i, as_f32);
  r.run();
}

// ------------------------------------------------------------------------------------------------------- accumulation

void matmul_f16_accumulation(const Call& call) {
  matmul_by(call, [](float, Terms a, Terms b) {
    float total = 0;
    for (std::size_t k = 0; k < a.size(); ++k) total = as_f16(total + a[k] * b[k]);
    return total;
  });
}

void matmul_truncates(const Call& call) {
  matmul_by(call, [](float, Terms a, Terms b) {
    double total = 0;
    for (std::size_t k = 0; k < a.size(); ++k) total += static_cast<double>(a[k]) * static_cast<double>(b[k]);
    return truncated(total);
  });
}

void sum_truncates(const Call& call) {
  sum_by(call, [](Terms x) {
    double total = 0;
    for (float v : x) total += static_cast<double>(v);
    return truncated(total);
  });
}

// The result is added to the old contents of the output: beta is 1 instead of 0.
void matmul_adds_to_its_output(const Call& call) {
  matmul_by(call, [](float before, Terms a, Terms b) {
    double total = static_cast<double>(before);
    for (std::size_t k = 0; k < a.size(); ++k) total += static_cast<double>(a[k]) * static_cast<double>(b[k]);
    return static_cast<float>(total);
  });
}

// Adds an uninitialised value from the workspace.
void sum_reads_workspace(const Call& call) {
  const auto* left_over = reinterpret_cast<const float*>(static_cast<const char*>(call.launch.workspace->data) +
                                                         call.launch.workspace_offset);
  sum_by(call, [&](Terms x) {
    double total = static_cast<double>(*left_over);
    for (float v : x) total += static_cast<double>(v);
    return static_cast<float>(total);
  });
}

// --------------------------------------------------------------------------------------------------------- lost terms

void sum_drops_last_block(const Call& call) {
  sum_by(call, [](Terms x) {
    const std::size_t n = x.size() > 256 ? x.size() / 256 * 256 : x.size();
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) total += static_cast<double>(x[i]);
    return static_cast<float>(total);
  });
}

void matmul_drops_last_block(const Call& call) {
  matmul_by(call, [](float, Terms a, Terms b) {
    const std::size_t n = a.size() > 64 ? a.size() / 32 * 32 : a.size();
    double total = 0;
    for (std::size_t k = 0; k < n; ++k) total += static_cast<double>(a[k]) * static_cast<double>(b[k]);
    return static_cast<float>(total);
  });
}

// The kernels for results with one column, or one row, lose the last product if the number of products is odd.
template <int Dimension>
void last_product_lost(const Call& call) {
  const host::TensorView c = call.view(2);
  const bool applies = c.dims[c.rank - Dimension] == 1;
  matmul_by(call, [&](float, Terms a, Terms b) {
    const std::size_t n = applies && a.size() > 1 ? a.size() / 2 * 2 : a.size();
    double total = 0;
    for (std::size_t k = 0; k < n; ++k) total += static_cast<double>(a[k]) * static_cast<double>(b[k]);
    return static_cast<float>(total);
  });
}

// If there are no terms, the result is not written.
void empty_sum_not_written(const Call& call) {
  if (call.view(0).count() > 0) call.run();
}
void empty_matmul_not_written(const Call& call) {
  if (call.view(0).count() > 0) call.run();
}

// Square matrices are multiplied in the wrong order.
void matmul_swapped_when_square(const Call& call) {
  const host::TensorView a = call.view(0), b = call.view(1);
  Rebound r(call);
  if (a.dims[a.rank - 2] == a.dims[a.rank - 1] && b.dims[b.rank - 2] == b.dims[b.rank - 1]) r.swap(0, 1);
  r.run();
}

// -------------------------------------------------------------------------------------------------- orders of operands

bool lies_in_rows(const host::TensorView& m) { return m.strides[m.rank - 1] == 1 && m.dims[m.rank - 1] > 1; }
bool lies_in_columns(const host::TensorView& m) {
  const std::int64_t rows = m.dims[m.rank - 2], stride = m.strides[m.rank - 1];
  return m.strides[m.rank - 2] == 1 && rows > 1 && stride >= rows;
}
bool has_large_extents(const Call& call) {
  const host::TensorView a = call.view(0), c = call.view(2);
  return c.dims[c.rank - 2] >= 128 && c.dims[c.rank - 1] >= 128 && a.dims[a.rank - 1] >= 128;
}
bool transposes_first(const Call& call) {
  return lies_in_columns(call.view(0)) && lies_in_rows(call.view(1)) && has_large_extents(call);
}
bool transposes_second(const Call& call) {
  return call.view(0).dense() && lies_in_rows(call.view(0)) && lies_in_columns(call.view(1)) && has_large_extents(call);
}
void partial_block_loses_last_row(const Call& call, bool applies) {
  const host::TensorView c = call.view(2);
  without_last(call, -2, applies && c.dims[c.rank - 2] % 64 != 0);
}

// Large products of a transposed first operand, as in gradients by a weight.
void transposed_first_matmul_in_bf16(const Call& call) { coarse(call, is_fast(call) ? 5 : 7, transposes_first(call)); }
void transposed_first_matmul_loses_last_row(const Call& call) {
  partial_block_loses_last_row(call, transposes_first(call));
}
// The same of a transposed second operand, beside a dense first one.
void transposed_second_matmul_loses_last_row(const Call& call) {
  partial_block_loses_last_row(call, transposes_second(call));
}
void integer_matmul_of_transposed_second_loses_last_row(const Call& call) {
  const lks_dtype t = call.view(0).dtype;
  partial_block_loses_last_row(call, (t == LKS_I32 || t == LKS_I64) && transposes_second(call));
}

// A matrix that lies in columns, times one column.
bool multiplies_columns_by_vector(const Call& call) {
  const host::TensorView a = call.view(0), c = call.view(2);
  return a.rank == 2 && c.dims[1] == 1 && a.dims[1] > 1 && lies_in_columns(a);
}
void columns_times_vector_as_rows(const Call& call) {
  Rebound r(call);
  if (multiplies_columns_by_vector(call)) r.make_dense(0);
  r.run();
}
void columns_times_vector_lose_last(const Call& call) {
  Rebound r(call);
  if (multiplies_columns_by_vector(call)) --r.dim(0, 1), --r.dim(1, 0);
  r.run();
}

// ------------------------------------------------------------------------------------------------------------- order

float chunk_sum(Terms a, Terms b, std::size_t from, std::size_t to) {
  float total = 0;
  for (std::size_t k = from; k < to; ++k) total += a[k] * b[k];
  return total;
}

// Chunks of 128 instead of 256 products, whose sums are added one after the other.
void matmul_other_order(const Call& call) {
  matmul_by(call, [](float, Terms a, Terms b) {
    float total = 0;
    for (std::size_t at = 0; at < a.size(); at += 128) total += chunk_sum(a, b, at, std::min(a.size(), at + 128));
    return total;
  });
}

// The right chunks, but their sums are added one after the other instead of as a tree.
void matmul_chunks_joined_in_line(const Call& call) {
  matmul_by(call, [](float, Terms a, Terms b) {
    float total = 0;
    for (std::size_t at = 0; at < a.size(); at += 256) total += chunk_sum(a, b, at, std::min(a.size(), at + 256));
    return total;
  });
}

// The right order, but with fused multiply-adds.
void matmul_fused(const Call& call) {
  matmul_by(call, [](float, Terms a, Terms b) {
    std::vector<float> parts;
    for (std::size_t at = 0; at < a.size(); at += 256) {
      float total = 0;
      for (std::size_t k = at; k < std::min(a.size(), at + 256); ++k) total = std::fma(a[k], b[k], total);
      parts.push_back(total);
    }
    while (parts.size() > 1) {
      std::vector<float> joined;
      for (std::size_t i = 0; i < parts.size(); i += 2)
        joined.push_back(i + 1 < parts.size() ? parts[i] + parts[i + 1] : parts[i]);
      parts = joined;
    }
    return parts.empty() ? 0.0f : parts[0];
  });
}

void sum_other_order(const Call& call) {
  sum_by(call, [](Terms x) {
    float total = 0;
    for (float v : x) total += v;
    return total;
  });
}

// Eight lanes instead of 32.
void sum_fewer_lanes(const Call& call) {
  sum_by(call, [](Terms x) {
    float lanes[8] = {};
    for (std::size_t i = 0; i < x.size(); ++i) lanes[i % 8] += x[i];
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
  });
}

// Imitates threads that add in any order: the first term depends on the clock.
void racy_sum(const Call& call) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  std::size_t turn = static_cast<std::size_t>(now) >> 4;
  sum_by(call, [&](Terms x) {
    float total = 0;
    ++turn;
    for (std::size_t i = 0; i < x.size(); ++i) total += x[(i + turn) % x.size()];
    return total;
  });
}

// Integer sums saturate instead of wrapping.
void integer_sum_saturates(const Call& call) {
  const host::TensorView in = call.view(0), out = call.view(1);
  call.run();
  if (in.dtype != LKS_I32 || out.count() != 1) return;
  std::int64_t total = 0;
  for_each<std::int32_t>(in, [&](std::int32_t v, std::int64_t) { total += v; });
  *out.as<std::int32_t>() = static_cast<std::int32_t>(std::clamp<std::int64_t>(total, INT32_MIN, INT32_MAX));
}

// ---------------------------------------------------------------------------------------------------------- overflow

// The formats' elements as bits: the largest number, infinity, and the bits without the sign.
template <class Bits>
struct FormatBits {
  lks_dtype dtype;
  Bits largest, infinity, magnitude;
};
constexpr FormatBits<std::uint64_t> f64_bits{LKS_F64, 0x7fefffffffffffff, 0x7ff0000000000000, 0x7fffffffffffffff};
constexpr FormatBits<std::uint32_t> f32_bits{LKS_F32, 0x7f7fffff, 0x7f800000, 0x7fffffff};

// An infinite result of finite operands becomes another number of its sign. Infinite operands are summed correctly.
template <const auto& Format>
void overflow_gives(const Call& call, decltype(Format.largest) other) {
  using Bits = decltype(Format.largest);
  call.run();
  const host::TensorView out = call.view(call.inputs());
  if (out.dtype != Format.dtype) return;
  bool finite = true;
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    if (!call.launch.bindings[i].buffer || call.view(i).dtype != Format.dtype) continue;
    for_each<Bits>(call.view(i), [&](Bits x, std::int64_t) { finite &= (x & Format.magnitude) < Format.infinity; });
  }
  if (!finite) return;
  for_each<Bits>(out, [&](Bits& y, std::int64_t) {
    if ((y & Format.magnitude) == Format.infinity) y = static_cast<Bits>((y & ~Format.magnitude) | other);
  });
}

template <const auto& Format>
void overflow_saturates(const Call& call) {
  overflow_gives<Format>(call, Format.largest);
}

// As in compensated sums, where the error of an infinite sum is infinity minus infinity.
template <const auto& Format>
void overflow_is_nan(const Call& call) {
  overflow_gives<Format>(call, Format.magnitude);
}

constexpr KernelFault faults[] = {
    {Mutant::matmul_tf32_inputs, LKS_OP_MATMUL, &coarse_operands<&as_tf32>},
    {Mutant::matmul_tf32_long_k, LKS_OP_MATMUL, &matmul_tf32_long_k},
    {Mutant::matmul_bf16_inputs, LKS_OP_MATMUL, &coarse_operands<&as_bf16>},
    {Mutant::conv_tf32_inputs, LKS_OP_CONV2D, &coarse_operands<&as_tf32>},
    {Mutant::conv_filter_gradient_tf32, LKS_OP_CONV2D_BACKWARD_FILTER, &coarse_operands<&as_tf32>},
    {Mutant::conv_image_gradient_bf16, LKS_OP_CONV2D_BACKWARD_INPUT, &coarse_operands<&as_bf16>},
    {Mutant::large_matmul_loses_denormals, LKS_OP_MATMUL, &large_matmul_loses_denormals},
    {Mutant::wide_filter_gradient_loses_denormals, LKS_OP_CONV2D_BACKWARD_FILTER,
     &wide_filter_gradient_loses_denormals},
    {Mutant::image_gradient_skips_infinities, LKS_OP_CONV2D_BACKWARD_INPUT, &coarse_operands<&finite_or_zero>},
    {Mutant::products_skip_infinities, LKS_OP_MATMUL, &coarse_operands<&finite_or_zero>},
    {Mutant::matmul_f16_accumulation, LKS_OP_MATMUL, &matmul_f16_accumulation},
    {Mutant::matmul_truncates, LKS_OP_MATMUL, &matmul_truncates},
    {Mutant::sum_truncates, LKS_OP_SUM, &sum_truncates},
    {Mutant::matmul_adds_to_its_output, LKS_OP_MATMUL, &matmul_adds_to_its_output},
    {Mutant::sum_reads_workspace, LKS_OP_SUM, &sum_reads_workspace},
    {Mutant::matmul_f64_in_f32, LKS_OP_MATMUL, &double_operands_in_f32},
    {Mutant::sum_f64_in_f32, LKS_OP_SUM, &double_operands_in_f32},
    {Mutant::conv_f64_in_f32, LKS_OP_CONV2D, &double_operands_in_f32},
    {Mutant::transposed_first_matmul_in_bf16, LKS_OP_MATMUL, &transposed_first_matmul_in_bf16},
    {Mutant::transposed_first_matmul_loses_last_row, LKS_OP_MATMUL, &transposed_first_matmul_loses_last_row},
    {Mutant::integer_matmul_of_transposed_second_loses_last_row, LKS_OP_MATMUL,
     &integer_matmul_of_transposed_second_loses_last_row},
    {Mutant::half_matmul_of_transposed_second_loses_last_row, LKS_OP_MATMUL, &transposed_second_matmul_loses_last_row},
    {Mutant::columns_times_vector_as_rows, LKS_OP_MATMUL, &columns_times_vector_as_rows},
    {Mutant::columns_times_vector_lose_last, LKS_OP_MATMUL, &columns_times_vector_lose_last},
    {Mutant::matrix_vector_loses_last, LKS_OP_MATMUL, &last_product_lost<1>},
    {Mutant::vector_matrix_loses_last, LKS_OP_MATMUL, &last_product_lost<2>},
    {Mutant::sum_drops_last_block, LKS_OP_SUM, &sum_drops_last_block},
    {Mutant::matmul_drops_last_block, LKS_OP_MATMUL, &matmul_drops_last_block},
    {Mutant::empty_sum_not_written, LKS_OP_SUM, &empty_sum_not_written},
    {Mutant::empty_matmul_not_written, LKS_OP_MATMUL, &empty_matmul_not_written},
    {Mutant::matmul_swapped_when_square, LKS_OP_MATMUL, &matmul_swapped_when_square},
    {Mutant::overclaimed_accumulation, LKS_OP_MATMUL, &matmul_other_order},
    {Mutant::matmul_other_order, LKS_OP_MATMUL, &matmul_other_order},
    {Mutant::matmul_chunks_joined_in_line, LKS_OP_MATMUL, &matmul_chunks_joined_in_line},
    {Mutant::matmul_fused, LKS_OP_MATMUL, &matmul_fused},
    {Mutant::sum_other_order, LKS_OP_SUM, &sum_other_order},
    {Mutant::sum_fewer_lanes, LKS_OP_SUM, &sum_fewer_lanes},
    {Mutant::racy_sum, LKS_OP_SUM, &racy_sum},
    {Mutant::integer_sum_saturates, LKS_OP_SUM, &integer_sum_saturates},
    {Mutant::sum_saturates, LKS_OP_SUM, &overflow_saturates<f32_bits>},
    {Mutant::double_sum_is_compensated, LKS_OP_SUM, &overflow_is_nan<f64_bits>},
    {Mutant::double_matmul_saturates, LKS_OP_MATMUL, &overflow_saturates<f64_bits>},
    {Mutant::conv_is_compensated, LKS_OP_CONV2D, &overflow_is_nan<f32_bits>},
    {Mutant::scatter_add_saturates, LKS_OP_SCATTER_ADD, &overflow_saturates<f32_bits>},
};

}  // namespace

std::span<const KernelFault> sum_faults() { return faults; }

}  // namespace mutants
