// The keys of the kernel cache: what a call is, what the driver is told about it, and where its tensors lie.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lockstep/device.h"
#include "lockstep/driver.h"
#include "lockstep/dtype.h"
#include "runtime/inline_vector.h"
#include "runtime/memory/block.h"

namespace lockstep {

lks_dtype abi_dtype(DType t);

/// The dense row-major stride of the dimension before one that has this `stride` and `extent`. Returns 0 if the product
/// overflows: the tensor is then empty, so no index is valid.
inline std::int64_t next_dense_stride(std::int64_t stride, std::int64_t extent) {
  return __builtin_mul_overflow(stride, extent, &stride) ? 0 : stride;
}

/// Whether the strides of a tensor are dense row-major; that of an extent of 1 does not count. `extent_of(i)` is the
/// extent of dimension i. Drivers have the same rule (backends/common/dense.h), also for empty tensors: an extent of 0
/// makes the strides before it 0, and every tensor without elements gets such strides.
template <class ExtentOf>
bool are_dense_strides(int rank, ExtentOf&& extent_of, const std::int64_t* strides) {
  std::int64_t expected = 1;
  for (int i = rank - 1; i >= 0; --i) {
    const std::int64_t extent = extent_of(i);
    if (extent != 1 && strides[i] != expected) return false;
    expected = next_dense_stride(expected, extent);
  }
  return true;
}

/// A tensor of a call, in the form that the driver receives.
struct KernelTensor {
  DType dtype = DType::f32;
  std::uint8_t rank = 0;
  bool absent = false;        // an optional input that is not given
  std::uint8_t reserved = 0;  // the fields up to here are compared as one number
  const std::int64_t* dims = nullptr;
  const std::int64_t* strides = nullptr;  // in elements
  std::int64_t offset = 0;                // of the first element from the block's start, in elements
  Block* block = nullptr;
};

/// A call for which a kernel is needed.
struct KernelRequest {
  std::uint64_t op = 0;  // OpDef::identity
  const void* attrs = nullptr;
  std::uint32_t attrs_size = 0;
  std::span<const std::uint8_t> number_dtypes;  // which operands are numbers, and their dtypes
  MathMode mode = MathMode::strict;
  std::span<const KernelTensor> tensors;  // inputs, then outputs
  std::uint32_t input_count = 0;
  /// The caller launches the kernel, or drops it, before it asks for another one on this thread. Then no reference to
  /// it has to be counted.
  bool borrows = false;
  /// Called if the call is not known: fills op, programs, scalars and aliases of the description; the rest is already
  /// filled. `context` is the caller's.
  void (*describe)(lks_kernel_desc& desc, const void* context) = nullptr;
  const void* context = nullptr;
};

using Deps = std::vector<lks_operand_deps>;

/// Room for the keys of usual calls, so that looking one up allocates nothing.
using CallWords = InlineVector<std::uint64_t, 40>;
using LayoutWords = InlineVector<std::uint64_t, 288>;

/// All on which the description of a call depends, except extents, strides and alignments.
void write_call(CallWords& words, const KernelRequest& request);

/// What the driver is told about a call, except extents, strides and alignments: op, attributes, dtypes, ranks, and the
/// programs with all their instructions. It has no addresses, so equal contents are equal calls.
std::vector<std::uint64_t> content_of(const lks_kernel_desc& desc);

/// The number, and the properties of the tensors that `deps` names. `alignment` is that of buffers.
void write_layout(LayoutWords& words, std::uint64_t number, const Deps& deps, std::span<const KernelTensor> tensors,
                  std::uint64_t alignment);

/// The alignment of the first element, in bytes. `most` is the alignment of buffers.
std::uint64_t alignment_of(const KernelTensor& tensor, std::uint64_t most);

bool same_deps(const Deps& a, const Deps& b);
/// Without what these tensors, and others of their ranks, do not have.
Deps simplified(Deps deps, std::span<const KernelTensor> tensors, std::uint64_t alignment);
/// That all extents and strides, and the exact alignments, count.
Deps depends_on_all(std::span<const KernelTensor> tensors, std::uint64_t alignment);

}  // namespace lockstep
