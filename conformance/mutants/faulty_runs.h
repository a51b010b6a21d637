// Ways to run the correct kernel wrongly that several faults share.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "conformance/mutants/numbers.h"
#include "conformance/mutants/rebound.h"

namespace mutants {

/// True in about half of all calls, in an order without a period: for faults that imitate races. The clock would let a
/// few runs agree by chance.
inline bool varies() {
  static std::atomic<unsigned> calls{0};
  return std::popcount(calls++) % 2 != 0;
}

inline bool is_fast(const Call& call) { return call.desc.desc.math_mode == LKS_MODE_FAST; }

/// Runs the kernel, but leaves the last index of one output dimension unwritten.
inline void without_last(const Call& call, int dimension, bool applies) {
  Rebound r(call);
  const std::size_t out = call.inputs();
  const int d = dimension < 0 ? r.rank(out) + dimension : dimension;
  if (!applies || r.rank(out) <= d || r.dim(out, d) < 2) return call.run();
  const host::TensorView y = call.view(out);
  // The correct kernel writes everything; then the old bytes are restored.
  std::vector<std::pair<char*, std::array<char, 8>>> kept;
  const std::size_t size = host::size_of(y.dtype);
  reference::Walk walk(y.rank, y.dims);
  walk.add(y.strides);
  for (; !walk.done(); walk.next()) {
    if (walk.index(d) + 1 != y.dims[d]) continue;
    char* const at = y.data + walk.offset(0) * static_cast<std::int64_t>(size);
    kept.push_back({at, {}});
    std::memcpy(kept.back().second.data(), at, size);
  }
  call.run();
  for (const auto& [at, bytes] : kept) std::memcpy(at, bytes.data(), size);
}

/// Runs the kernel on f32 operands that are rounded to `bits` bits behind the leading one.
inline void coarse(const Call& call, int bits, bool applies) {
  Rebound r(call);
  for (std::size_t i = 0; applies && i < call.inputs(); ++i) {
    if (call.launch.bindings[i].buffer) r.convert(i, [bits](float x) { return with_mantissa(x, bits); });
  }
  r.run();
}

/// Runs the kernel with offsets in bytes that are cut to 32 bits.
inline void offsets_in_32_bits(const Call& call) {
  Rebound r(call);
  for (std::size_t i = 0; i < call.tensors(); ++i) {
    if (!r.has(i)) continue;
    const auto size = static_cast<std::int64_t>(host::size_of(call.view(i).dtype));
    r.offset(i) = (r.offset(i) * size & 0xffffffff) / size;
  }
  r.run();
}

/// Runs the kernel with positive strides in bytes that are cut to `bits` bits.
template <int bits>
void strides_cut(const Call& call) {
  Rebound r(call);
  constexpr std::int64_t mask = (std::int64_t{1} << bits) - 1;
  for (std::size_t i = 0; i < call.tensors(); ++i) {
    const auto size = static_cast<std::int64_t>(host::size_of(call.view(i).dtype));
    for (int d = 0; d < r.rank(i); ++d) {
      if (r.stride(i, d) > 0) r.stride(i, d) = (r.stride(i, d) * size & mask) / size;
    }
  }
  r.run();
}

/// Writes the byte behind a dense result.
inline void write_byte_behind(const Call& call) {
  const host::TensorView out = call.view(call.inputs());
  if (out.count() > 0 && out.dense()) out.data[out.count() * static_cast<std::int64_t>(host::size_of(out.dtype))] = 0;
}

/// Of a convolution's filter with these extents, OHWI: whether it has at least `min` filters and channels; whether its
/// windows are one pixel.
inline bool has_blocks_of(const std::int64_t* filter, std::int64_t min) { return filter[0] >= min && filter[3] >= min; }
inline bool is_pixel(const std::int64_t* filter) { return filter[1] == 1 && filter[2] == 1; }

/// Whether all numbers of a list attribute are `value`.
inline bool is_all(const lks_int_list& list, std::int64_t value) {
  return std::all_of(list.values, list.values + list.count, [value](std::int64_t v) { return v == value; });
}

/// The extent that the indices of gather or scatter_add address.
inline std::int64_t extent_of(const Call& call) {
  if (call.desc.desc.op == LKS_OP_SCATTER_ADD) return call.desc.attributes<lks_scatter_add_attrs>().extent;
  return call.view(0).dims[call.desc.attributes<lks_gather_attrs>().axis];
}

/// Runs the kernel with 0 in place of indices that are out of bounds.
inline void outside_is_zero(const Call& call) {
  const host::TensorView indices = call.view(1);
  const std::int64_t extent = extent_of(call);
  const auto mend = [&](auto& v, std::int64_t) {
    if (static_cast<std::int64_t>(v) < 0 || static_cast<std::int64_t>(v) >= extent) v = 0;
  };
  if (indices.dtype == LKS_I32) for_each<std::int32_t>(indices, mend);
  if (indices.dtype == LKS_I64) for_each<std::int64_t>(indices, mend);
  call.run();
}

}  // namespace mutants
