// Kernels with one fault each, for layer_norm and cumsum, which the correct driver lacks and the runtime decomposes.
#include <bit>
#include <cmath>
#include <map>
#include <mutex>
#include <type_traits>

#include "conformance/mutants/rows.h"

namespace mutants {
namespace {

// ---------------------------------------------------------------------------------------------------------- layer_norm

double mean_of(const std::vector<float>& row) {
  double total = 0;
  for (float x : row) total += static_cast<double>(x);
  return total / static_cast<double>(row.size());
}
double variance_of(const std::vector<float>& row) {
  const double centre = mean_of(row);
  double total = 0;
  for (float x : row) total += (static_cast<double>(x) - centre) * (static_cast<double>(x) - centre);
  return total / static_cast<double>(row.size());
}
// The mean of squares less the square of the mean, which cancel in f32.
double variance_by_squares(const std::vector<float>& row) {
  double total = 0;
  for (float x : row) total += static_cast<double>(x) * static_cast<double>(x);
  const float squares = static_cast<float>(total / static_cast<double>(row.size()));
  const float centre = static_cast<float>(mean_of(row)), variance = squares - centre * centre;
  return variance < 0 ? 0.0 : static_cast<double>(variance);
}

/// Returns the factor by which the distances from the mean are multiplied.
using Factor = double (*)(const std::vector<float>& row, double epsilon);

double right_factor(const std::vector<float>& row, double epsilon) { return 1 / std::sqrt(variance_of(row) + epsilon); }
double factor_of_usual_epsilon(const std::vector<float>& row, double) { return right_factor(row, 1e-5); }
double factor_of_epsilon_outside(const std::vector<float>& row, double epsilon) {
  return 1 / (std::sqrt(variance_of(row)) + epsilon);
}
double factor_of_limited_epsilon(const std::vector<float>& row, double epsilon) {
  return right_factor(row, std::fmax(epsilon, 1e-12));
}
double factor_by_squares(const std::vector<float>& row, double epsilon) {
  return 1 / std::sqrt(variance_by_squares(row) + epsilon);
}

// If `close_up`, the strides of scale and shift are not looked at beside a dense x.
template <Factor factor_of, bool close_up = false>
void layer_norm(const Call& call) {
  const host::TensorView x = call.view(0), y = call.view(call.inputs());
  const auto epsilon = static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(call.launch.scalars[0])));
  const auto parameter = [&](std::size_t operand, std::size_t i, float unless_given) {
    if (!call.launch.bindings[operand].buffer) return unless_given;
    const host::TensorView t = call.view(operand);
    const bool is_closed_up = close_up && x.dense() && t.strides[0] > 1;
    return t.as<float>()[static_cast<std::int64_t>(i) * (is_closed_up ? 1 : t.strides[0])];
  };
  const int axis = x.rank - 1;
  for_each_row(x, y, axis, [&](std::int64_t from, std::int64_t to) {
    const std::vector<float> row = row_at(x, axis, from);
    const double centre = mean_of(row), factor = factor_of(row, epsilon);
    for (std::size_t i = 0; i < row.size(); ++i) {
      const float normal = static_cast<float>((static_cast<double>(row[i]) - centre) * factor);
      y.as<float>()[to + static_cast<std::int64_t>(i) * y.strides[axis]] =
          normal * parameter(1, i, 1) + parameter(2, i, -0.0f);
    }
  });
}

// A kernel keeps the epsilon of its first launch. The key is the description's address, which is unique per kernel.
void layer_norm_keeps_first_epsilon(const Call& call) {
  static std::mutex mutex;
  static std::map<const void*, std::uint64_t> first;
  std::uint64_t kept = 0;
  {
    const std::lock_guard lock(mutex);
    kept = first.try_emplace(&call.desc, call.launch.scalars[0]).first->second;
  }
  lks_launch launch = call.launch;
  launch.scalars = &kept;
  layer_norm<&right_factor>({call.correct, launch, call.desc});
}

// -------------------------------------------------------------------------------------------------------------- cumsum

// Sums of integers wrap. They begin again after `period` elements.
template <class T>
void add_along_rows(const host::TensorView& x, const host::TensorView& y, int axis, bool reverse,
                    std::int64_t period = INT64_MAX) {
  using Sum = typename reference::Accumulator<T>::type;
  const std::int64_t n = x.dims[axis];
  for_each_row(x, y, axis, [&](std::int64_t from, std::int64_t to) {
    Sum total = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t at = reverse ? n - 1 - i : i;
      const Sum term = static_cast<Sum>(x.as<T>()[from + at * x.strides[axis]]);
      total = i % period == 0 ? term : total + term;
      y.as<T>()[to + at * y.strides[axis]] = static_cast<T>(total);
    }
  });
}

// Only along the last axis do sums begin at the last element.
template <class T>
void cumsum_reversed_in_rows(const Call& call) {
  const auto& a = call.desc.attributes<lks_cumsum_attrs>();
  const host::TensorView x = call.view(0);
  add_along_rows<T>(x, call.view(1), static_cast<int>(a.axis), a.reverse != 0 && a.axis + 1 == x.rank);
}
void integer_cumsum_reversed_in_rows(const Call& call) {
  const bool is_short = call.view(0).dtype == LKS_I32;
  is_short ? cumsum_reversed_in_rows<std::int32_t>(call) : cumsum_reversed_in_rows<std::int64_t>(call);
}

// In vectors, sums of integers run forward.
template <class T>
void cumsum_of_vectors_forward(const Call& call) {
  const auto& a = call.desc.attributes<lks_cumsum_attrs>();
  const host::TensorView x = call.view(0);
  add_along_rows<T>(x, call.view(1), static_cast<int>(a.axis), a.reverse != 0 && x.rank > 1);
}
void integer_cumsum_of_vectors_forward(const Call& call) {
  const bool is_short = call.view(0).dtype == LKS_I32;
  is_short ? cumsum_of_vectors_forward<std::int32_t>(call) : cumsum_of_vectors_forward<std::int64_t>(call);
}
// Along the first of several axes, sums of f64 run forward.
void double_cumsum_of_first_axis_forward(const Call& call) {
  const auto& a = call.desc.attributes<lks_cumsum_attrs>();
  const host::TensorView x = call.view(0);
  add_along_rows<double>(x, call.view(1), static_cast<int>(a.axis), a.reverse != 0 && (x.rank == 1 || a.axis > 0));
}
// Reversed sums begin again after 1024 elements, others after 65536.
template <class T>
void cumsum_begins_again(const Call& call) {
  const auto& a = call.desc.attributes<lks_cumsum_attrs>();
  const bool reverse = a.reverse != 0;
  add_along_rows<T>(call.view(0), call.view(1), static_cast<int>(a.axis), reverse, reverse ? 1024 : 65536);
}
void integer_cumsum_begins_again(const Call& call) {
  call.view(0).dtype == LKS_I32 ? cumsum_begins_again<std::int32_t>(call) : cumsum_begins_again<std::int64_t>(call);
}
void forward_cumsum_begins_again(const Call& call) {
  const auto& a = call.desc.attributes<lks_cumsum_attrs>();
  const std::int64_t period = a.reverse != 0 ? INT64_MAX : 65536;
  add_along_rows<float>(call.view(0), call.view(1), static_cast<int>(a.axis), a.reverse != 0, period);
}

bool is_i32_or_i64(lks_dtype t) { return t == LKS_I32 || t == LKS_I64; }
bool is_f64(lks_dtype t) { return t == LKS_F64; }

constexpr KernelFault faults[] = {
    {Mutant::layer_norm_of_usual_epsilon, LKS_OP_LAYER_NORM, &layer_norm<&factor_of_usual_epsilon>},
    {Mutant::layer_norm_adds_epsilon_outside, LKS_OP_LAYER_NORM, &layer_norm<&factor_of_epsilon_outside>},
    {Mutant::layer_norm_by_squares, LKS_OP_LAYER_NORM, &layer_norm<&factor_by_squares>},
    {Mutant::layer_norm_limits_epsilon, LKS_OP_LAYER_NORM, &layer_norm<&factor_of_limited_epsilon>},
    {Mutant::layer_norm_ignores_strides_of_shift, LKS_OP_LAYER_NORM, &layer_norm<&right_factor, true>},
    {Mutant::layer_norm_keeps_first_epsilon, LKS_OP_LAYER_NORM, &layer_norm_keeps_first_epsilon},
    {Mutant::long_layer_norm_in_bf16, LKS_OP_LAYER_NORM, &in_bf16_if_many<&layer_norm<&right_factor>>},
    {Mutant::integer_cumsum_reversed_in_rows_alone, LKS_OP_CUMSUM, &integer_cumsum_reversed_in_rows, false, nullptr,
     &is_i32_or_i64},
    {Mutant::integer_cumsum_of_vectors_forward, LKS_OP_CUMSUM, &integer_cumsum_of_vectors_forward, false, nullptr,
     &is_i32_or_i64},
    {Mutant::integer_cumsum_begins_again, LKS_OP_CUMSUM, &integer_cumsum_begins_again, false, nullptr, &is_i32_or_i64},
    {Mutant::cumsum_begins_again_beyond_16_bits, LKS_OP_CUMSUM, &forward_cumsum_begins_again},
    {Mutant::double_cumsum_of_first_axis_forward, LKS_OP_CUMSUM, &double_cumsum_of_first_axis_forward, false, nullptr,
     &is_f64},
    {Mutant::double_cumsum_reversed_in_rows_alone, LKS_OP_CUMSUM, &cumsum_reversed_in_rows<double>, false, nullptr,
     &is_f64},
};

}  // namespace

std::span<const KernelFault> row_faults() { return faults; }

}  // namespace mutants
