// The functions of a pointwise kernel that compute one element, as text.
#pragma once

#include <string>
#include <vector>

#include "backends/gpu/pointwise/dialect.h"
#include "backends/gpu/pointwise/shape.h"

namespace gpu {

/// Invocations per workgroup.
constexpr unsigned pointwise_group = 256;

/// `struct Element`, an element's inputs, and the functions
///   Element load(Params p, Operands o, uint64_t item)
///   void compute(Params p, Operands o, uint64_t item, Element element)
/// `instrs` has no calls (common::inline_calls); `outputs` are the numbers of the output values. The text that precedes
/// this declares
///   Operands: `count`, the number of elements; `tensor0` …, arrays; `scalar0` …, the bits of each scalar
///   Params:   `rank` and, if a tensor is strided or the program reads an index, `extents`; for each strided tensor i,
///             `strides<i>`, in elements
std::string element_text(const Dialect& dialect, const std::vector<lks_instr>& instrs,
                         const std::vector<std::uint32_t>& outputs, const PointwiseShape& shape);

/// Calls of these functions for the elements of one invocation, from the variables `p`, `o` and `first`, the number of
/// its first element. The others follow one workgroup apart, so that neighbouring invocations access neighbouring
/// elements.
std::string calls_text(const PointwiseShape& shape);

/// Whether the program reads the index along an axis.
bool reads_index(const std::vector<lks_instr>& instrs);

}  // namespace gpu
