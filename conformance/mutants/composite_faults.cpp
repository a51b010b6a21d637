// Kernels with one fault each, for ops that the correct driver lacks and the runtime decomposes. The faults are typical
// limits of a first implementation. Short rows, valid labels and small numbers of terms do not trigger them.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "conformance/mutants/faulty_runs.h"
#include "conformance/mutants/rows.h"
#include "conformance/mutants/terms.h"

namespace mutants {
namespace {

// --------------------------------------------------------------------------------------------------- rows of logits

/// Computes the maximum that is subtracted from a row.
using Largest = float (*)(const std::vector<float>& row);

float largest_of(const std::vector<float>& row, std::size_t n) {
  float largest = -INFINITY;
  for (std::size_t i = 0; i < std::min(n, row.size()); ++i) largest = std::fmax(largest, row[i]);
  return largest;
}
float largest_of_first_1024(const std::vector<float>& row) { return largest_of(row, 1024); }
float largest_of_first_8192(const std::vector<float>& row) { return largest_of(row, 8192); }
float largest_of_first_65536(const std::vector<float>& row) { return largest_of(row, 65536); }
float largest_of_short_rows(const std::vector<float>& row) { return row.size() > 256 ? 0 : largest_of(row, 256); }
float largest_but_last(const std::vector<float>& row) {
  return largest_of(row, row.size() > 1000 ? row.size() - 1 : row.size());
}
float largest_of_all(const std::vector<float>& row) { return largest_of(row, row.size()); }

float total_of(const std::vector<float>& row, float largest) {
  float total = 0;
  for (float x : row) total += std::exp(x - largest);
  return total;
}

template <Largest largest_in, bool logarithm>
void softmax_of(const Call& call, const host::TensorView& x) {
  const host::TensorView y = call.view(1);
  const auto axis = static_cast<int>(call.desc.attributes<lks_softmax_attrs>().axis);
  for_each_row(x, y, axis, [&](std::int64_t from, std::int64_t to) {
    const std::vector<float> row = row_at(x, axis, from);
    const float largest = largest_in(row), total = total_of(row, largest);
    for (std::size_t i = 0; i < row.size(); ++i) {
      float& v = y.as<float>()[to + static_cast<std::int64_t>(i) * y.strides[axis]];
      v = logarithm ? (row[i] - largest) - std::log(total) : std::exp(row[i] - largest) / total;
    }
  });
}

template <Largest largest_in, bool logarithm>
void softmax(const Call& call) {
  softmax_of<largest_in, logarithm>(call, call.view(0));
}

// From rank 3 on, the rows of the first index of the outermost dimension serve for all, if rows lie along the last.
void high_rank_softmax_first_rows(const Call& call) {
  host::TensorView x = call.view(0);
  std::vector<std::int64_t> strides(x.strides, x.strides + x.rank);
  if (x.rank > 2 && call.desc.attributes<lks_softmax_attrs>().axis + 1 == x.rank) strides[0] = 0;
  x.strides = strides.data();
  softmax_of<&largest_of_all, false>(call, x);
}

// The last element of a vector has no part.
template <bool logarithm>
void softmax_of_vectors_loses_last(const Call& call) {
  host::TensorView x = call.view(0);
  const std::int64_t fewer = x.dims[0] - 1;
  if (x.rank == 1 && fewer > 0) x.dims = &fewer;
  softmax_of<&largest_of_all, logarithm>(call, x);
}

/// Returns the class of a label, or -1 if the label is invalid.
using ClassOf = std::int64_t (*)(std::int64_t label, std::int64_t classes);

std::int64_t inside(std::int64_t label, std::int64_t classes) { return label >= 0 && label < classes ? label : -1; }
std::int64_t cut_to_32_bits(std::int64_t label, std::int64_t classes) {
  return inside(static_cast<std::int32_t>(label), classes);
}
std::int64_t counted_from_the_end(std::int64_t label, std::int64_t classes) {
  return inside(label < 0 ? label + classes : label, classes);
}
std::int64_t moved_inside(std::int64_t label, std::int64_t classes) {
  return label >= classes ? classes - 1 : inside(label, classes);
}

// Of valid labels, bit 16 is lost.
std::int64_t counted_in_16_bits(std::int64_t label, std::int64_t classes) {
  return inside(label, classes) & ~std::int64_t{0x10000};
}

template <ClassOf class_of, Largest largest_in>
void sparse_cross_entropy(const Call& call) {
  const host::TensorView x = call.view(0), labels = call.view(1), y = call.view(2);
  const int axis = x.rank - 1;
  std::vector<std::int64_t> classes;
  const auto keep = [&](auto label, std::int64_t) { classes.push_back(class_of(label, x.dims[axis])); };
  if (labels.dtype == LKS_I32) for_each<std::int32_t>(labels, keep);
  if (labels.dtype == LKS_I64) for_each<std::int64_t>(labels, keep);
  std::size_t n = 0;
  for_each_row(x, y, axis, [&](std::int64_t from, std::int64_t to) {
    const std::int64_t at = classes[n++];
    const std::vector<float> row = row_at(x, axis, from);
    const float largest = largest_in(row);
    y.as<float>()[to] = at < 0 ? NAN : std::log(total_of(row, largest)) - (row[static_cast<std::size_t>(at)] - largest);
  });
}

// The label of a vector is taken for the first class.
void loss_of_vector_takes_first_class(const Call& call) {
  sparse_cross_entropy<&inside, &largest_of_all>(call);
  const host::TensorView x = call.view(0);
  if (x.rank != 1) return;
  const std::vector<float> row = row_at(x, 0, 0);
  const float largest = largest_of_all(row);
  *call.view(2).as<float>() = std::log(total_of(row, largest)) - (row[0] - largest);
}

// ------------------------------------------------------------------------------------------------------------ means

template <std::size_t (*count_of)(std::size_t)>
void mean(const Call& call) {
  sum_by(call, [](const std::vector<float>& terms) {
    double total = 0;
    for (float x : terms) total += static_cast<double>(x);
    return static_cast<float>(total / static_cast<double>(count_of(terms.size())));
  });
}
std::size_t in_16_bits(std::size_t n) { return n % 65536; }
std::size_t at_most_65535(std::size_t n) { return std::min<std::size_t>(n, 65535); }

// ------------------------------------------------------------------------------------------------------------ sorts

template <bool (*less)(std::int64_t key, std::int64_t other)>
void sort(const Call& call, bool stable) {
  std::vector<std::int64_t> keys;
  for_each<std::int64_t>(call.view(0), [&](std::int64_t key, std::int64_t) { keys.push_back(key); });
  std::vector<std::size_t> order(keys.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (!stable) std::reverse(order.begin(), order.end());
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return less(keys[a], keys[b]); });
  for_each<std::int64_t>(call.view(1), [&](std::int64_t& to, std::int64_t i) {
    to = static_cast<std::int64_t>(order[static_cast<std::size_t>(i)]);
  });
}
bool is_less(std::int64_t a, std::int64_t b) { return a < b; }
bool is_less_in_32_bits(std::int64_t a, std::int64_t b) {
  return static_cast<std::int32_t>(a) < static_cast<std::int32_t>(b);
}
bool is_long(const Call& call) { return call.view(0).dims[0] > 65536; }

void argsort_reverses_ties_when_long(const Call& call) { sort<&is_less>(call, !is_long(call)); }
void argsort_of_many_in_runs(const Call& call) {
  sort<&is_less>(call, true);
  merge_in_runs(call.view(1));
}
void argsort_32_bits_when_long(const Call& call) {
  if (is_long(call)) return sort<&is_less_in_32_bits>(call, true);
  sort<&is_less>(call, true);
}

// Keys are padded to a power of two with the largest one, and padding comes before keys that equal it.
void argsort_of_largest_gives_padding(const Call& call) {
  sort<&is_less>(call, true);
  const host::TensorView x = call.view(0), y = call.view(1);
  std::int64_t padding = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(y.count()))) - y.count();
  for_each<std::int64_t>(y, [&](std::int64_t& at, std::int64_t) {
    if (x.as<std::int64_t>()[at * x.strides[0]] == INT64_MAX && padding-- > 0) at = y.count() + padding;
  });
}
// Keys are compared by their negations. The least one is its own.
std::int64_t negated(std::int64_t key) { return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(key)); }
bool is_less_by_negation(std::int64_t a, std::int64_t b) { return negated(a) > negated(b); }
void argsort_by_negation(const Call& call) { sort<&is_less_by_negation>(call, true); }

// ------------------------------------------------------------------------------------------- losses of probabilities

/// The loss of one row, from its logits and targets.
template <float (*loss_of)(const std::vector<float>& x, const std::vector<float>& p)>
void cross_entropy(const Call& call) {
  const host::TensorView x = call.view(0), p = call.view(1), y = call.view(2);
  const int axis = x.rank - 1;
  std::vector<std::int64_t> targets;
  for_each_row(p, y, axis, [&](std::int64_t from, std::int64_t) { targets.push_back(from); });
  std::size_t n = 0;
  for_each_row(x, y, axis, [&](std::int64_t from, std::int64_t to) {
    y.as<float>()[to] = loss_of(row_at(x, axis, from), row_at(p, axis, targets[n++]));
  });
}
float log_total(const std::vector<float>& x) {
  const float largest = largest_of_all(x);
  return std::log(total_of(x, largest)) + largest;
}
float of_targets_that_sum_to_one(const std::vector<float>& x, const std::vector<float>& p) {
  float loss = log_total(x);
  for (std::size_t i = 0; i < x.size(); ++i) loss -= p[i] == 0 ? 0 : p[i] * x[i];
  return loss;
}
float of_largest_target(const std::vector<float>& x, const std::vector<float>& p) {
  const auto at = static_cast<std::size_t>(std::max_element(p.begin(), p.end()) - p.begin());
  return p.empty() ? 0 : p[at] * (log_total(x) - x[at]);
}

// Rows of more than 1024 elements.
void long_softmax_writes_past_the_end(const Call& call) {
  softmax<&largest_of_all, false>(call);
  if (call.view(0).dims[call.desc.attributes<lks_softmax_attrs>().axis] > 1024) write_byte_behind(call);
}

/// Rows beyond 65,535, a limit of grids, are not written.
void softmax_in_one_grid(const Call& call) {
  const host::TensorView x = call.view(0), y = call.view(1);
  const auto axis = static_cast<int>(call.desc.attributes<lks_softmax_attrs>().axis);
  std::int64_t rows = 0;
  for_each_row(x, y, axis, [&](std::int64_t from, std::int64_t to) {
    if (++rows > 65535) return;
    const std::vector<float> row = row_at(x, axis, from);
    const float largest = largest_of_all(row), total = total_of(row, largest);
    for (std::size_t i = 0; i < row.size(); ++i) {
      y.as<float>()[to + static_cast<std::int64_t>(i) * y.strides[axis]] = std::exp(row[i] - largest) / total;
    }
  });
}

// ----------------------------------------------------------------------------------------------------------- labels

template <ClassOf class_of, class T>
void one_hot_of(const Call& call, T one) {
  const host::TensorView labels = call.view(0), y = call.view(1);
  const std::int64_t depth = y.dims[y.rank - 1];
  std::vector<std::int64_t> classes;
  const auto keep = [&](auto label, std::int64_t) { classes.push_back(class_of(label, depth)); };
  if (labels.dtype == LKS_I32) for_each<std::int32_t>(labels, keep);
  if (labels.dtype == LKS_I64) for_each<std::int64_t>(labels, keep);
  for_each<T>(y,
              [&](T& v, std::int64_t i) { v = classes[static_cast<std::size_t>(i / depth)] == i % depth ? one : T{}; });
}

template <ClassOf class_of>
void one_hot(const Call& call) {
  one_hot_of<class_of>(call, 1.0f);
}

// In f16, the bits of an integer; in bytes, true of all bits; in i64, a one in each half.
void one_hot_of_f16_writes_integers(const Call& call) { one_hot_of<&inside, std::uint16_t>(call, 1); }
void one_hot_of_bytes_sets_all_bits(const Call& call) { one_hot_of<&inside, std::uint8_t>(call, 255); }
void one_hot_of_i64_writes_halves(const Call& call) { one_hot_of<&inside, std::int64_t>(call, 0x100000001); }
bool is_f16(lks_dtype t) { return t == LKS_F16; }
bool is_byte(lks_dtype t) { return t == LKS_I8 || t == LKS_U8; }

// Of more than 2^18 elements, the last row is not written.
template <void (*run)(const Call&)>
void last_of_many_rows_lost(const Call& call) {
  const host::TensorView y = call.view(call.inputs());
  const bool applies = call.view(0).count() > (1 << 18) && y.rank > 0;
  std::vector<float> kept;
  const auto last_row = [&](std::int64_t i) { return i >= y.count() / y.dims[0] * (y.dims[0] - 1); };
  if (applies)
    for_each<float>(y, [&](float v, std::int64_t i) {
      if (last_row(i)) kept.push_back(v);
    });
  run(call);
  std::size_t next = 0;
  if (applies)
    for_each<float>(y, [&](float& v, std::int64_t i) {
      if (last_row(i)) v = kept[next++];
    });
}

constexpr KernelFault faults[] = {
    {Mutant::softmax_largest_of_first_1024, LKS_OP_SOFTMAX, &softmax<&largest_of_first_1024, false>},
    {Mutant::softmax_largest_but_last, LKS_OP_SOFTMAX, &softmax<&largest_but_last, false>},
    {Mutant::softmax_largest_of_first_65536, LKS_OP_SOFTMAX, &softmax<&largest_of_first_65536, false>},
    {Mutant::high_rank_softmax_first_rows, LKS_OP_SOFTMAX, &high_rank_softmax_first_rows},
    {Mutant::softmax_loses_last_of_many_rows, LKS_OP_SOFTMAX,
     &last_of_many_rows_lost<&softmax<&largest_of_all, false>>},
    {Mutant::loss_loses_last_of_many_rows, LKS_OP_SPARSE_CROSS_ENTROPY,
     &last_of_many_rows_lost<&sparse_cross_entropy<&inside, &largest_of_all>>},
    {Mutant::long_softmax_in_bf16, LKS_OP_SOFTMAX, &in_bf16_if_many<&softmax<&largest_of_all, false>>},
    {Mutant::long_loss_in_bf16, LKS_OP_SPARSE_CROSS_ENTROPY,
     &in_bf16_if_many<&sparse_cross_entropy<&inside, &largest_of_all>>},
    {Mutant::log_softmax_unshifted_when_long, LKS_OP_LOG_SOFTMAX, &softmax<&largest_of_short_rows, true>},
    {Mutant::loss_largest_of_first_8192, LKS_OP_SPARSE_CROSS_ENTROPY,
     &sparse_cross_entropy<&inside, &largest_of_first_8192>},
    {Mutant::labels_cut_to_32_bits, LKS_OP_SPARSE_CROSS_ENTROPY,
     &sparse_cross_entropy<&cut_to_32_bits, &largest_of_all>},
    {Mutant::negative_labels_from_the_end, LKS_OP_SPARSE_CROSS_ENTROPY,
     &sparse_cross_entropy<&counted_from_the_end, &largest_of_all>},
    {Mutant::labels_moved_inside, LKS_OP_SPARSE_CROSS_ENTROPY, &sparse_cross_entropy<&moved_inside, &largest_of_all>},
    {Mutant::mean_counts_in_16_bits, LKS_OP_MEAN, &mean<&in_16_bits>},
    {Mutant::mean_counts_to_65535, LKS_OP_MEAN, &mean<&at_most_65535>},
    {Mutant::long_softmax_writes_past_the_end, LKS_OP_SOFTMAX, &long_softmax_writes_past_the_end},
    {Mutant::softmax_in_one_grid, LKS_OP_SOFTMAX, &softmax_in_one_grid},
    {Mutant::targets_sum_to_one, LKS_OP_CROSS_ENTROPY, &cross_entropy<&of_targets_that_sum_to_one>},
    {Mutant::largest_target_alone, LKS_OP_CROSS_ENTROPY, &cross_entropy<&of_largest_target>},
    {Mutant::one_hot_from_the_end, LKS_OP_ONE_HOT, &one_hot<&counted_from_the_end>},
    {Mutant::one_hot_cut_to_32_bits, LKS_OP_ONE_HOT, &one_hot<&cut_to_32_bits>},
    {Mutant::one_hot_moved_inside, LKS_OP_ONE_HOT, &one_hot<&moved_inside>},
    {Mutant::one_hot_of_f16_writes_integers, LKS_OP_ONE_HOT, &one_hot_of_f16_writes_integers, false, nullptr, &is_f16},
    {Mutant::one_hot_of_bytes_sets_all_bits, LKS_OP_ONE_HOT, &one_hot_of_bytes_sets_all_bits, false, nullptr, &is_byte},
    {Mutant::one_hot_of_i64_writes_halves, LKS_OP_ONE_HOT, &one_hot_of_i64_writes_halves, false, nullptr, &is_i64},
    {Mutant::softmax_of_vectors_loses_last, LKS_OP_SOFTMAX, &softmax_of_vectors_loses_last<false>},
    {Mutant::log_softmax_of_vectors_loses_last, LKS_OP_LOG_SOFTMAX, &softmax_of_vectors_loses_last<true>},
    {Mutant::loss_of_vector_takes_first_class, LKS_OP_SPARSE_CROSS_ENTROPY, &loss_of_vector_takes_first_class},
    {Mutant::one_hot_in_16_bits, LKS_OP_ONE_HOT, &one_hot<&counted_in_16_bits>},
    {Mutant::argsort_reverses_ties_when_long, LKS_OP_ARGSORT, &argsort_reverses_ties_when_long, false, nullptr,
     &is_i64},
    {Mutant::argsort_of_many_in_runs, LKS_OP_ARGSORT, &argsort_of_many_in_runs, false, nullptr, &is_i64},
    {Mutant::argsort_32_bits_when_long, LKS_OP_ARGSORT, &argsort_32_bits_when_long, false, nullptr, &is_i64},
    {Mutant::argsort_of_largest_gives_padding, LKS_OP_ARGSORT, &argsort_of_largest_gives_padding, false, nullptr,
     &is_i64},
    {Mutant::argsort_by_negation, LKS_OP_ARGSORT, &argsort_by_negation, false, nullptr, &is_i64},
};

// A placeholder for the correct kernel in FaultyKernel: it has the tensors' dtypes and ranks, and never runs.
struct Absent : lks_kernel {
  void run(const lks_launch&) const override {}
};

lks_status make_absent(const common::KernelRequest& request, std::unique_ptr<lks_kernel>* out) {
  const auto& fault = *static_cast<const KernelFault*>(request.context);
  const bool given = request.desc.input_count > 0 && request.desc.op != LKS_OP_ONE_HOT;
  const lks_dtype dtype = (given ? request.input(0) : request.output(0)).dtype;
  if (!(fault.takes ? fault.takes(dtype) : dtype == LKS_F32)) {
    return common::refuse(request.diag, LKS_REASON_DTYPE, 0, DRIVER_WHERE, "no kernel for this dtype");
  }
  common::emplace<Absent>(request, out);
  return LKS_OK;
}

}  // namespace

std::span<const KernelFault> composite_faults() { return faults; }

lks_status answer_for_composite(const KernelFault& fault, const lks_host_api& api, const lks_kernel_desc& desc,
                                lks_kernel_info& info, std::unique_ptr<lks_kernel>* out, lks_diag* diag) {
  static constexpr common::KernelRow rows[] = {
      {LKS_OP_SOFTMAX, LKS_OP_SOFTMAX_VERSION, "composite", &make_absent},
      {LKS_OP_LOG_SOFTMAX, LKS_OP_LOG_SOFTMAX_VERSION, "composite", &make_absent},
      {LKS_OP_SPARSE_CROSS_ENTROPY, LKS_OP_SPARSE_CROSS_ENTROPY_VERSION, "composite", &make_absent},
      {LKS_OP_CROSS_ENTROPY, LKS_OP_CROSS_ENTROPY_VERSION, "composite", &make_absent},
      {LKS_OP_ONE_HOT, LKS_OP_ONE_HOT_VERSION, "composite", &make_absent},
      {LKS_OP_RANDOM_UNIFORM, LKS_OP_RANDOM_UNIFORM_VERSION, "composite", &make_absent},
      {LKS_OP_RANDOM_NORMAL, LKS_OP_RANDOM_NORMAL_VERSION, "composite", &make_absent},
      {LKS_OP_DROPOUT, LKS_OP_DROPOUT_VERSION, "composite", &make_absent},
      {LKS_OP_MEAN, LKS_OP_MEAN_VERSION, "composite", &make_absent},
      {LKS_OP_ARGSORT, LKS_OP_ARGSORT_VERSION, "composite", &make_absent},
      {LKS_OP_LAYER_NORM, LKS_OP_LAYER_NORM_VERSION, "composite", &make_absent},
      {LKS_OP_CUMSUM, LKS_OP_CUMSUM_VERSION, "composite", &make_absent},
      {LKS_OP_RANDOM_PERMUTATION, LKS_OP_RANDOM_PERMUTATION_VERSION, "composite", &make_absent},
      {LKS_OP_CONV, LKS_OP_CONV_VERSION, "composite", &make_absent},
  };
  constexpr std::uint32_t modes = 1u << LKS_MODE_STRICT | 1u << LKS_MODE_FAST;
  return common::answer_from_table({rows, modes, &fault}, api, desc, info, out, diag);
}

}  // namespace mutants
