// Faults in the handling of memory layouts: strides, offsets, tails, ranks, aliasing.
#include <cstdlib>
#include <cstring>

#include "conformance/mutants/faulty_runs.h"

namespace mutants {
namespace {

// Runs the kernel, but leaves the last element of the output unwritten.
void without_last_element(const Call& call, bool applies) {
  const host::TensorView out = call.view(call.inputs());
  if (!applies || out.count() == 0) return call.run();
  std::int64_t last = 0;
  for (int d = 0; d < out.rank; ++d) last += (out.dims[d] - 1) * out.strides[d];
  const std::size_t size = host::size_of(out.dtype);
  char* const at = out.data + last * static_cast<std::int64_t>(size);
  char kept[8];
  std::memcpy(kept, at, size);
  call.run();
  std::memcpy(at, kept, size);
}

void tail_not_written(const Call& call) {
  const std::int64_t n = call.view(call.inputs()).count();
  without_last_element(call, n > 8 && n % 8 != 0);
}
void large_tail_not_written(const Call& call) {
  const std::int64_t n = call.view(call.inputs()).count();
  without_last_element(call, n > 1024 && n % 16 != 0);
}
// The last element of more than 65,536, a limit of grids.
void beyond_65536_not_written(const Call& call) {
  without_last_element(call, call.view(call.inputs()).count() > 65536);
}

// Bytes are copied four at a time; the tail is not written.
void byte_copies_lose_tail(const Call& call) {
  const host::TensorView out = call.view(1);
  const std::int64_t n = out.count();
  if (host::size_of(out.dtype) != 1 || n < 4 || n % 4 == 0) return call.run();
  without_last_element(call, true);
}

// Rows are processed eight elements at a time; the last element of the tail is not written.
void matmul_tail_not_written(const Call& call) {
  const host::TensorView c = call.view(2);
  without_last_element(call, c.dims[c.rank - 1] > 8 && c.dims[c.rank - 1] % 8 != 0);
}

// Inputs are read as dense from their offset.
void inputs_read_as_dense(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    bool broadcast = false;
    for (int d = 0; d < r.rank(i); ++d) broadcast = broadcast || r.stride(i, d) == 0;
    if (!broadcast) r.make_dense(i);
  }
  r.run();
}

// The offsets of all inputs but the first are ignored. A single input's offset is rounded down.
void offset_ignored(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 1; i < call.inputs(); ++i) r.offset(i) = 0;
  if (call.inputs() == 1) r.offset(0) &= ~std::int64_t{3};  // as if loads were aligned
  r.run();
}

// A broadcast dimension is read with stride 1 instead of 0.
void broadcast_walked(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    for (int d = 0; d < r.rank(i); ++d) {
      const bool last = d + 1 == r.rank(i);
      if (r.dim(i, d) < 2 || r.stride(i, d) != 0 || (!last && r.stride(i, d + 1) != 1)) continue;
      r.stride(i, d) = 1;
      break;
    }
  }
  r.run();
}

// Negative strides are read as positive.
void negative_stride_as_positive(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    for (int d = 0; d < r.rank(i); ++d) {
      if (r.stride(i, d) >= 0) continue;
      r.offset(i) += r.stride(i, d) * (r.dim(i, d) - 1);
      r.stride(i, d) = -r.stride(i, d);
    }
  }
  r.run();
}

// Writes one byte after the end of outputs whose size is not a multiple of 16 bytes.
void writes_past_the_end(const Call& call) {
  call.run();
  const host::TensorView out = call.view(call.inputs());
  if (out.count() == 0 || !out.dense()) return;
  const std::int64_t bytes = out.count() * static_cast<std::int64_t>(host::size_of(out.dtype));
  if (bytes % 16 != 0) out.data[bytes] = 0;
}

// Reads 32 bytes behind the last element, which changes no result.
void reads_past_the_end(const Call& call) {
  const host::TensorView in = call.view(0);
  if (in.count() > 0 && in.dense()) {
    const volatile char* const end = in.data + in.count() * static_cast<std::int64_t>(host::size_of(in.dtype));
    for (int i = 0; i < 32; ++i) static_cast<void>(end[i]);
  }
  call.run();
}

// Writes into the gaps between the elements of a row.
void writes_into_gaps(const Call& call) {
  call.run();
  const host::TensorView out = call.view(call.inputs());
  if (out.rank == 0 || out.count() == 0) return;
  const std::int64_t step = out.strides[out.rank - 1];
  if (out.dims[out.rank - 1] < 2 || step < 2) return;
  for (int d = 0; d + 1 < out.rank; ++d) {
    if (out.dims[d] > 1 && std::abs(out.strides[d]) < step) return;  // no gaps, but other elements
  }
  const auto size = static_cast<std::int64_t>(host::size_of(out.dtype));
  reference::Walk walk(out.rank, out.dims);
  walk.add(out.strides);
  for (; !walk.done(); walk.next()) {
    if (walk.index(out.rank - 1) + 1 == out.dims[out.rank - 1]) continue;
    std::memset(out.data + (walk.offset(0) + 1) * size, 0, static_cast<std::size_t>(size));
  }
}

// From rank 5 on, only the first index of the outermost dimension is computed.
void high_rank_cut(const Call& call) {
  const std::size_t out = call.inputs();
  Rebound r(call);
  if (r.rank(out) >= 5) {
    for (std::size_t i = 0; i < call.tensors(); ++i) {
      if (r.has(i) && r.rank(i) == r.rank(out) && r.dim(i, 0) > 1) r.dim(i, 0) = 1;
    }
  }
  r.run();
}

// Clears the output first, which destroys an input that it aliases.
void clears_its_output_first(const Call& call) {
  for (std::size_t i = call.inputs(); i < call.tensors(); ++i) {
    const host::TensorView out = call.view(i);
    if (out.dense()) std::memset(out.data, 0, static_cast<std::size_t>(out.count()) * host::size_of(out.dtype));
  }
  call.run();
}

// The kernel keeps the extents of its preparation.
void extents_baked_in(const Call& call) {
  Rebound r(call);
  const lks_kernel_desc& desc = call.desc.desc;
  for (std::size_t i = 0; i < call.tensors(); ++i) {
    const lks_tensor_desc& t = i < call.inputs() ? desc.inputs[i] : desc.outputs[i - call.inputs()];
    for (int d = 0; r.has(i) && d < r.rank(i); ++d) r.dim(i, d) = std::min(r.dim(i, d), t.dims[d]);
  }
  r.run();
}

const lks_tensor_desc& prepared(const Call& call, std::size_t i) {
  const lks_kernel_desc& desc = call.desc.desc;
  return i < call.inputs() ? desc.inputs[i] : desc.outputs[i - call.inputs()];
}

// The kernel keeps the strides of its preparation, but its deps do not name them.
void strides_baked_in(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    const lks_tensor_desc& t = prepared(call, i);
    bool same = r.has(i);
    std::int64_t low = 0, high = 0, span = 0;
    for (int d = 0; d < r.rank(i) && same; ++d) {
      same = r.dim(i, d) == t.dims[d];
      (t.strides[d] < 0 ? low : high) += (t.dims[d] - 1) * t.strides[d];
      span += (r.dim(i, d) - 1) * r.stride(i, d);
    }
    if (!same || low < 0 || high > span) continue;  // it would read out of bounds
    for (int d = 0; d < r.rank(i); ++d) r.stride(i, d) = t.strides[d];
  }
  r.run();
}

// A kernel that was prepared for an empty operand reads all later operands as dense.
void empty_makes_dense(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    const lks_tensor_desc& t = prepared(call, i);
    bool empty = false, broadcast = false;
    for (int d = 0; d < t.rank; ++d) empty = empty || t.dims[d] == 0;
    for (int d = 0; r.has(i) && d < r.rank(i); ++d) broadcast = broadcast || r.stride(i, d) <= 0;
    if (empty && r.has(i) && !broadcast) r.make_dense(i);
  }
  r.run();
}

// A kernel that was prepared for aligned operands rounds offsets down, as if loads were always aligned.
void alignment_baked_in(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    if (r.has(i) && prepared(call, i).alignment >= 64) r.offset(i) &= ~std::int64_t{3};
  }
  r.run();
}

// If rows are whole vectors of 16 bytes, their first element is taken to begin one.
void base_rounded_down(const Call& call) {
  Rebound r(call);
  const auto size = static_cast<std::int64_t>(host::size_of(call.view(0).dtype));
  std::int64_t row = size;
  for (int d = static_cast<int>(call.desc.attributes<lks_gather_attrs>().axis) + 1; d < r.rank(0); ++d) {
    row *= r.dim(0, d);
  }
  if (row % 16 == 0) r.offset(0) -= r.offset(0) * size % 16 / size;
  r.run();
}

// A batched matmul uses only the first matrix of b.
void matmul_first_of_b(const Call& call) {
  Rebound r(call);
  for (int d = 0; d + 2 < r.rank(1); ++d) r.stride(1, d) = 0;
  r.run();
}

// Gaps between rows are ignored, in all inputs or from the second on.
template <std::size_t first>
void rows_closed_up(const Call& call) {
  Rebound r(call);
  for (std::size_t i = first; i < call.inputs(); ++i) {
    const int last = r.has(i) ? r.rank(i) - 1 : 0;
    bool in_order = last > 0 && r.stride(i, last) == 1;
    for (int d = 0; d < last && in_order; ++d) in_order = r.stride(i, d) >= r.stride(i, d + 1) * r.dim(i, d + 1);
    if (in_order) r.make_dense(i);
  }
  r.run();
}

// Gaps between the matrices of a batch, or the planes of an image, are ignored.
void planes_closed_up(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    if (!r.has(i) || r.rank(i) < 3) continue;
    const int d = r.rank(i) - 3;
    const std::int64_t plane = r.dim(i, d + 1) * r.stride(i, d + 1);
    if (r.stride(i, d) > plane && r.dim(i, d + 1) > 1) r.stride(i, d) = plane;
  }
  r.run();
}

// NCHW images, viewed as NHWC, are read as if they were stored as NHWC.
void channels_second_as_last(const Call& call) {
  Rebound r(call);
  if (r.rank(0) == 4 && r.stride(0, 2) == 1 && r.stride(0, 3) > r.stride(0, 1)) r.make_dense(0);
  r.run();
}

// One negative stride among positive ones is read as positive.
void lone_negative_stride_as_positive(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    if (!r.has(i)) continue;
    int negative = 0, positive = 0;
    for (int d = 0; d < r.rank(i); ++d) (r.stride(i, d) < 0 ? negative : positive) += r.dim(i, d) > 1;
    if (negative != 1 || positive == 0) continue;
    for (int d = 0; d < r.rank(i); ++d) {
      if (r.dim(i, d) < 2 || r.stride(i, d) > 0) continue;
      r.offset(i) += r.stride(i, d) * (r.dim(i, d) - 1);
      r.stride(i, d) = -r.stride(i, d);
    }
  }
  r.run();
}

// Two inputs of one shape are read with the strides of the first.
void strides_of_the_first(const Call& call) {
  Rebound r(call);
  if (call.inputs() < 2 || !r.has(0) || !r.has(1) || r.rank(0) != r.rank(1)) return call.run();
  bool same = true;
  std::int64_t span = 1, other = 1;
  for (int d = 0; d < r.rank(0); ++d) {
    same = same && r.dim(0, d) == r.dim(1, d);
    span += (r.dim(0, d) - 1) * std::abs(r.stride(0, d));
    other += (r.dim(1, d) - 1) * std::abs(r.stride(1, d));
  }
  for (int d = 0; d < r.rank(0) && same && span == other; ++d) {
    if (r.stride(0, d) >= 0 && r.stride(1, d) >= 0) r.stride(1, d) = r.stride(0, d);
  }
  r.run();
}

// A first dimension with stride 0 is read with stride 1.
void leading_broadcast_walked(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    if (!r.has(i) || r.rank(i) < 2 || r.stride(i, 0) != 0 || r.dim(i, 0) < 2 || r.stride(i, 1) == 0) continue;
    r.stride(i, 0) = 1;
  }
  r.run();
}

// From rank 5 on, the result is written as dense.
void high_rank_result_as_dense(const Call& call) {
  Rebound r(call);
  const std::size_t out = call.inputs();
  if (r.rank(out) > 4) r.make_dense(out);
  r.run();
}
void result_as_dense(const Call& call) {
  Rebound r(call);
  r.make_dense(call.inputs());
  r.run();
}

// A first operand of rank 1 is taken for a column of the matrix beside it.
void first_row_as_column(const Call& call) {
  if (call.inputs() != 2 || call.tensors() != 3) return call.run();
  const host::TensorView x = call.view(0), out = call.view(2);
  if (x.rank != 1 || call.view(1).rank != 2 || out.count() == 0) return call.run();
  for (std::int64_t row = 0; row < out.dims[0]; ++row) {
    Rebound r(call);
    r.offset(0) += row % x.dims[0] * x.strides[0];
    r.dim(0, 0) = 1;
    for (const std::size_t i : {1, 2}) {
      if (r.dim(i, 0) > 1) r.offset(i) += row * r.stride(i, 0);
      r.dim(i, 0) = 1;
    }
    r.run();
  }
}

// A first operand that is repeated along some dimensions of a whole second one is read as if it were whole, too.
void repeated_first_operand_walked(const Call& call) {
  Rebound r(call);
  if (call.inputs() == 2 && call.tensors() == 3) {
    const host::TensorView x = call.view(0), y = call.view(1), out = call.view(2);
    const bool whole = y.rank == out.rank && y.count() == out.count();
    if (whole && x.rank == out.rank && x.count() < out.count()) r.repeat_as(0, out.dims);
  }
  r.run();
}

// If both the second and the third operand are repeated, the third is read at the offsets of the second.
void repeated_operands_share_an_offset(const Call& call) {
  Rebound r(call);
  if (call.inputs() > 2) {
    const host::TensorView second = call.view(1), third = call.view(2), out = call.view(call.inputs());
    const bool repeated = second.count() < out.count() && third.count() < out.count();
    if (repeated && second.rank == third.rank) r.repeat_as(2, second.dims);
  }
  r.run();
}

// Dense operands that begin in the middle of 16 bytes are read from the start of these bytes, as by loads of vectors.
// Elements of 8 bytes are not.
void halves_of_vectors_rounded_down(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    if (!r.has(i) || !call.view(i).dense()) continue;
    const auto size = static_cast<std::int64_t>(host::size_of(call.view(i).dtype));
    if (size < 8 && r.offset(i) * size % 16 == 8) r.offset(i) -= 8 / size;
  }
  r.run();
}

constexpr KernelFault faults[] = {
    {Mutant::first_row_as_column, LKS_OP_POINTWISE, &first_row_as_column},
    {Mutant::repeated_first_operand_walked, LKS_OP_POINTWISE, &repeated_first_operand_walked},
    {Mutant::repeated_operands_share_an_offset, LKS_OP_POINTWISE, &repeated_operands_share_an_offset},
    {Mutant::repeated_choices_share_an_offset, LKS_OP_POINTWISE, &repeated_operands_share_an_offset},
    {Mutant::pointwise_rounds_half_vectors_down, LKS_OP_POINTWISE, &halves_of_vectors_rounded_down},
    {Mutant::sum_rounds_half_vectors_down, LKS_OP_SUM, &halves_of_vectors_rounded_down},
    {Mutant::pointwise_offsets_in_32_bits, LKS_OP_POINTWISE, &offsets_in_32_bits},
    {Mutant::strides_of_copies_in_31_bits, LKS_OP_COPY, &strides_cut<31>},
    {Mutant::lockstep_max_strides_baked_in, LKS_OP_MAX, &strides_baked_in},
    {Mutant::sum_closes_up_rows, LKS_OP_SUM, &rows_closed_up<0>},
    {Mutant::matmul_closes_up_rows_of_b, LKS_OP_MATMUL, &rows_closed_up<1>},
    {Mutant::gather_closes_up_rows, LKS_OP_GATHER, &rows_closed_up<0>},
    {Mutant::pointwise_closes_up_planes, LKS_OP_POINTWISE, &planes_closed_up},
    {Mutant::conv_closes_up_planes, LKS_OP_CONV2D, &planes_closed_up},
    {Mutant::pool_takes_channels_for_last, LKS_OP_AVG_POOL2D, &channels_second_as_last},
    {Mutant::conv_takes_channels_for_last, LKS_OP_CONV2D, &channels_second_as_last},
    {Mutant::copy_lone_negative_stride, LKS_OP_COPY, &lone_negative_stride_as_positive},
    {Mutant::max_lone_negative_stride, LKS_OP_MAX, &lone_negative_stride_as_positive},
    {Mutant::pointwise_strides_of_the_first, LKS_OP_POINTWISE, &strides_of_the_first},
    {Mutant::matmul_strides_of_the_first, LKS_OP_MATMUL, &strides_of_the_first},
    {Mutant::matmul_leading_broadcast_walked, LKS_OP_MATMUL, &leading_broadcast_walked},
    {Mutant::pointwise_leading_broadcast_walked, LKS_OP_POINTWISE, &leading_broadcast_walked},
    {Mutant::copy_high_rank_result_as_dense, LKS_OP_COPY, &high_rank_result_as_dense},
    {Mutant::pointwise_result_as_dense, LKS_OP_POINTWISE, &result_as_dense},
    {Mutant::tail_not_written, LKS_OP_POINTWISE, &tail_not_written},
    {Mutant::large_tail_not_written, LKS_OP_POINTWISE, &large_tail_not_written},
    {Mutant::beyond_65536_not_written, LKS_OP_POINTWISE, &beyond_65536_not_written},
    {Mutant::byte_copies_lose_tail, LKS_OP_COPY, &byte_copies_lose_tail},
    {Mutant::matmul_tail_not_written, LKS_OP_MATMUL, &matmul_tail_not_written},
    {Mutant::matmul_ignores_strides, LKS_OP_MATMUL, &inputs_read_as_dense},
    {Mutant::sum_ignores_strides, LKS_OP_SUM, &inputs_read_as_dense},
    {Mutant::pointwise_ignores_strides, LKS_OP_POINTWISE, &inputs_read_as_dense},
    {Mutant::conv_ignores_strides, LKS_OP_CONV2D, &inputs_read_as_dense},
    {Mutant::pointwise_ignores_offset, LKS_OP_POINTWISE, &offset_ignored},
    {Mutant::broadcast_walked, LKS_OP_POINTWISE, &broadcast_walked},
    {Mutant::negative_stride_as_positive, any_op, &negative_stride_as_positive},
    {Mutant::writes_past_the_end, LKS_OP_POINTWISE, &writes_past_the_end},
    {Mutant::sum_writes_past_the_end, LKS_OP_SUM, &writes_past_the_end},
    {Mutant::reads_past_the_end, LKS_OP_SUM, &reads_past_the_end},
    {Mutant::writes_into_gaps, any_op, &writes_into_gaps},
    {Mutant::high_rank_cut, LKS_OP_POINTWISE, &high_rank_cut},
    {Mutant::clears_its_output_first, LKS_OP_POINTWISE, &clears_its_output_first},
    {Mutant::max_strides_baked_in, LKS_OP_MAX, &strides_baked_in},
    {Mutant::matmul_strides_baked_in, LKS_OP_MATMUL, &strides_baked_in},
    {Mutant::sum_of_nothing_makes_dense, LKS_OP_SUM, &empty_makes_dense},
    {Mutant::matmul_of_nothing_makes_dense, LKS_OP_MATMUL, &empty_makes_dense},
    {Mutant::gather_alignment_baked_in, LKS_OP_GATHER, &alignment_baked_in},
    {Mutant::gather_rounds_base_down, LKS_OP_GATHER, &base_rounded_down},
    {Mutant::extents_baked_in, LKS_OP_SUM, &extents_baked_in},
    {Mutant::matmul_first_of_b, LKS_OP_MATMUL, &matmul_first_of_b},
};

}  // namespace

std::span<const KernelFault> layout_faults() { return faults; }

}  // namespace mutants
