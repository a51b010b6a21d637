// A pointwise program as a compute shader in GLSL.
#pragma once

#include <string>
#include <vector>

#include "backends/common/program.h"

namespace vulkan {

/// Invocations per workgroup.
constexpr unsigned pointwise_group = 256;

/// How a pointwise kernel indexes a tensor.
enum class Walk : std::uint8_t {
  linear,   // element i of the output is element i of the tensor
  single,   // one element for all
  strided,  // by extents and strides, given at launch
};

struct PointwiseShape {
  std::vector<lks_dtype> dtypes;  // of the inputs, then the outputs
  std::vector<Walk> walks;        // of the same
  std::vector<lks_dtype> scalars;
  bool wide = false;            // indices and offsets need 64 bits
  unsigned per_invocation = 1;  // elements

  bool strided() const;
  /// Whether the number of elements, the addresses and the scalars fit into push constants.
  bool pushes_operands() const;
};

/// Why the program cannot be written as a shader; empty if it can.
std::string why_not_writable(const std::vector<lks_instr>& instrs);

/// The shader's whole text. `instrs` has no calls (common::inline_calls); `outputs` are the numbers of the output
/// values. The shader expects words of 8 bytes. Its operands are the number of elements, an address per tensor and the
/// bits of each scalar. Its parameters, if any tensor is strided or the program reads an index, are the rank,
/// `LKS_MAX_RANK` extents, and for each strided tensor as many strides in elements. If there are too many operands for
/// push constants, they precede the parameters.
std::string shader_text(const std::vector<lks_instr>& instrs, const std::vector<std::uint32_t>& outputs,
                        const PointwiseShape& shape);

}  // namespace vulkan
