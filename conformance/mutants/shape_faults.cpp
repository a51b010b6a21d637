// Faults in kernels for special shapes: vectors, matrices times vectors, blocks and vectors that are whole, windows of
// one pixel, one operand with gaps among dense ones, operands without dimensions; and in updates with usual numbers.
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <vector>

#include "conformance/mutants/faulty_runs.h"

namespace mutants {
namespace {

// ------------------------------------------------------------------------------------------------------------- choices

// In vectors of f64 the last of equal elements is returned: they are read backwards.
void double_argmax_of_vectors_takes_last_tie(const Call& call) {
  const host::TensorView x = call.view(0);
  if (x.rank != 1 || x.dtype != LKS_F64) return call.run();
  const std::int64_t n = x.dims[0];
  Rebound r(call);
  r.offset(0) += (n - 1) * r.stride(0, 0);
  r.stride(0, 0) = -r.stride(0, 0);
  r.run();
  for_each<std::int64_t>(call.view(1), [&](std::int64_t& v, std::int64_t) { v = n - 1 - v; });
}

// In matrices, the last row is not searched.
void argmax_of_columns_ignores_last(const Call& call) {
  Rebound r(call);
  const bool columns = r.rank(0) == 2 && call.desc.attributes<lks_argmax_attrs>().axis == 0;
  if (columns && r.dim(0, 0) > 1) --r.dim(0, 0);
  r.run();
}

void min_starts_from_largest(const Call& call) {
  Rebound r(call);
  r.convert(0, [](float x) { return x == INFINITY ? std::numeric_limits<float>::max() : x; });
  r.run();
}

// ------------------------------------------------------------------------------------------------------------ products

std::int64_t rows_of(const host::TensorView& t) { return t.dims[t.rank - 2]; }
std::int64_t columns_of(const host::TensorView& t) { return t.dims[t.rank - 1]; }

// The last of an odd number of products is left out.
void without_odd_product(const Call& call, bool applies) {
  Rebound r(call);
  std::int64_t &left = r.dim(0, r.rank(0) - 1), &right = r.dim(1, r.rank(1) - 2);
  if (applies && left > 1 && left % 2 != 0) left = --right;
  r.run();
}
void integer_matrix_vector_loses_last(const Call& call) {
  const host::TensorView a = call.view(0), c = call.view(2);
  const bool integers = c.dtype == LKS_I32 || c.dtype == LKS_I64;
  without_odd_product(call, integers && a.dense() && columns_of(c) == 1 && rows_of(c) > 1);
}
void dot_loses_last(const Call& call) {
  const host::TensorView c = call.view(2);
  without_odd_product(call, columns_of(c) == 1 && rows_of(c) == 1);
}

bool has_whole_blocks(const Call& call) {
  for (const std::int64_t extent : {rows_of(call.view(2)), columns_of(call.view(2)), columns_of(call.view(0))}) {
    if (extent < 16 || extent % 8 != 0) return false;
  }
  return true;
}
bool is_transposed(const host::TensorView& t) { return t.strides[t.rank - 2] == 1 && t.strides[t.rank - 1] > 1; }

void whole_matmul_of_transposed_second_loses_last(const Call& call) {
  without_last(call, -1, has_whole_blocks(call) && !is_transposed(call.view(0)) && is_transposed(call.view(1)));
}
void fast_whole_matmul_of_transposed_first_loses_last(const Call& call) {
  const bool applies = is_fast(call) && has_whole_blocks(call);
  without_last(call, -1, applies && is_transposed(call.view(0)) && !is_transposed(call.view(1)));
}
void whole_matmul_of_transposes_loses_last(const Call& call) {
  without_last(call, -1, has_whole_blocks(call) && is_transposed(call.view(0)) && is_transposed(call.view(1)));
}

// Matrices that tiles of 32 rows and columns fill.
void whole_transposes_lose_last_row(const Call& call) {
  const host::TensorView x = call.view(0);
  const bool applies = x.rank == 2 && x.strides[0] == 1 && x.dims[0] % 32 == 0 && x.dims[1] % 32 == 0;
  without_last(call, 0, applies && x.count() > 0);
}

// ------------------------------------------------------------------------------------- one operand among dense others

void gather_of_vectors_of_bytes_loses_last(const Call& call) {
  const host::TensorView x = call.view(0);
  without_last(call, 0, x.rank == 1 && host::size_of(x.dtype) == 1);
}
// If the first operand is dense, the first index or tap serves for all that have gaps.
void strides_of_second_ignored(const Call& call) {
  Rebound r(call);
  const bool applies = call.view(0).dense() && !call.view(1).dense();
  for (int d = 0; applies && d < r.rank(1); ++d) r.stride(1, d) = 0;
  r.run();
}

// ------------------------------------------------------------------------------------------------------------ programs

bool repeats_an_input(const Call& call) {
  bool repeats = false;
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    repeats = repeats || call.view(i).count() < call.view(call.inputs()).count();
  }
  return repeats;
}
void integers_beside_repeated_vectors_lose_last(const Call& call) {
  const host::TensorView y = call.view(call.inputs());
  const bool vectors = y.rank > 0 && columns_of(y) % 4 == 0;
  without_last(call, -1, y.dtype == LKS_I32 && call.inputs() == 2 && vectors && repeats_an_input(call));
}
void beside_second_without_dimensions_last_is_lost(const Call& call) {
  const bool applies = call.inputs() == 2 && call.view(1).rank == 0 && call.view(0).rank > 0;
  without_last(call, -1, applies);
}
// Images with an input that has one number, or one row, for each image.
void images_beside_rows_lose_last(const Call& call) {
  bool applies = false;
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    const host::TensorView x = call.view(i);
    applies = applies || (x.rank == 4 && x.dims[0] > 1 && x.dims[1] == 1 && x.dims[2] == 1);
  }
  const host::TensorView y = call.view(call.inputs());
  without_last(call, 0, applies && y.rank == 4 && y.dims[1] > 1 && y.dims[2] > 1);
}

// Runs an update with other scalars: f32 numbers, whatever the variable's dtype is, unless it is f64.
template <class Change>
void update_with(const Call& call, std::string_view name, std::size_t count, Change&& change) {
  const bool applies =
      call.desc.desc.op_name == name && call.launch.scalar_count == count && call.desc.desc.scalar_dtypes[0] == LKS_F32;
  if (!applies) return call.run();
  std::vector<float> numbers;
  for (std::size_t i = 0; i < count; ++i) {
    numbers.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(call.launch.scalars[i])));
  }
  change(numbers);
  std::vector<std::uint64_t> bits;
  for (const float number : numbers) bits.push_back(std::bit_cast<std::uint32_t>(number));
  lks_launch launch = call.launch;
  launch.scalars = bits.data();
  call.correct.run(launch);
}
// rate, momentum, blend, direct: Nesterov's momentum is taken for the plain one.
void nesterov_is_plain(const Call& call) {
  update_with(call, "momentum_update", 4, [](std::vector<float>& n) {
    if (n[3] != 1) return;
    n[2] = 1;
    n[3] = 0;
  });
}
// The sixth number corrects the mean of the first steps, the ninth is the decay.
void adam_without_decay_is_not_corrected(const Call& call) {
  update_with(call, "adam_update", 9, [](std::vector<float>& n) {
    if (n[8] == 0) n[5] = 1;
  });
}

constexpr KernelFault faults[] = {
    {Mutant::double_argmax_of_vectors_takes_last_tie, LKS_OP_ARGMAX, &double_argmax_of_vectors_takes_last_tie},
    {Mutant::argmax_of_columns_ignores_last, LKS_OP_ARGMAX, &argmax_of_columns_ignores_last},
    {Mutant::min_starts_from_largest, LKS_OP_MIN, &min_starts_from_largest},
    {Mutant::integer_matrix_vector_loses_last, LKS_OP_MATMUL, &integer_matrix_vector_loses_last},
    {Mutant::half_dot_loses_last, LKS_OP_MATMUL, &dot_loses_last},
    {Mutant::whole_matmul_of_transposed_second_loses_last, LKS_OP_MATMUL,
     &whole_matmul_of_transposed_second_loses_last},
    {Mutant::fast_whole_matmul_of_transposed_first_loses_last, LKS_OP_MATMUL,
     &fast_whole_matmul_of_transposed_first_loses_last},
    {Mutant::lockstep_whole_matmul_of_transposes_loses_last, LKS_OP_MATMUL, &whole_matmul_of_transposes_loses_last},
    {Mutant::whole_transposes_lose_last_row, LKS_OP_COPY, &whole_transposes_lose_last_row},
    {Mutant::gather_of_vectors_of_bytes_loses_last, LKS_OP_GATHER, &gather_of_vectors_of_bytes_loses_last},
    {Mutant::gather_of_dense_rows_ignores_index_strides, LKS_OP_GATHER, &strides_of_second_ignored},
    {Mutant::scatter_of_dense_rows_ignores_index_strides, LKS_OP_SCATTER_ADD, &strides_of_second_ignored},
    {Mutant::pool_gradient_of_dense_ignores_tap_strides, LKS_OP_MAX_POOL2D_BACKWARD, &strides_of_second_ignored},
    {Mutant::integers_beside_repeated_vectors_lose_last, LKS_OP_POINTWISE, &integers_beside_repeated_vectors_lose_last},
    {Mutant::beside_second_without_dimensions_last_is_lost, LKS_OP_POINTWISE,
     &beside_second_without_dimensions_last_is_lost},
    {Mutant::images_beside_rows_lose_last, LKS_OP_POINTWISE, &images_beside_rows_lose_last},
    {Mutant::nesterov_is_plain, LKS_OP_POINTWISE, &nesterov_is_plain},
    {Mutant::adam_without_decay_is_not_corrected, LKS_OP_POINTWISE, &adam_without_decay_is_not_corrected},
};

// ------------------------------------------------------------------------------------------------------------- windows

// All pools have the same first attributes.
using Attrs = lks_avg_pool2d_attrs;

// Beside whole vectors of channels, padding above is taken for padding on the left.
void top_padding_on_left(EditableDesc& e) {
  if (common::tensor_of(e.desc, 0).dims[3] % 4 != 0) return;
  lks_int_list& padding = e.attributes<Attrs>().padding;
  padding.values[2] = padding.values[0];
}
// Windows of one pixel are copies of the image.
void strides_of_pixels_ignored(EditableDesc& e) {
  const lks_int_list window = e.attributes<Attrs>().window;
  if (window.values[0] == 1 && window.values[1] == 1) e.attributes<Attrs>().strides = {2, {1, 1}};
}

constexpr bool by_extents = true;
constexpr DescFault desc_faults[] = {
    {Mutant::mean_of_vectors_takes_top_for_left, LKS_OP_AVG_POOL2D, &top_padding_on_left, by_extents},
    {Mutant::lockstep_max_of_vectors_takes_top_for_left, LKS_OP_MAX_POOL2D, &top_padding_on_left, by_extents},
    {Mutant::mean_gradient_of_vectors_takes_top_for_left, LKS_OP_AVG_POOL2D_BACKWARD, &top_padding_on_left, by_extents},
    {Mutant::max_of_pixels_ignores_strides, LKS_OP_MAX_POOL2D, &strides_of_pixels_ignored},
    {Mutant::mean_of_pixels_ignores_strides, LKS_OP_AVG_POOL2D, &strides_of_pixels_ignored},
};

}  // namespace

std::span<const KernelFault> shape_faults() { return faults; }
std::span<const DescFault> shape_attribute_faults() { return desc_faults; }

}  // namespace mutants
