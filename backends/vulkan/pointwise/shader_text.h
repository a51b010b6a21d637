// A pointwise program as a compute shader in GLSL.
#pragma once

#include <string>
#include <vector>

#include "backends/gpu/pointwise/element_text.h"

namespace vulkan {

using gpu::PointwiseShape;

/// Whether the number of elements, the addresses and the scalars fit into push constants.
bool pushes_operands(const PointwiseShape& shape);

/// The shader's whole text. `instrs` has no calls (common::inline_calls); `outputs` are the numbers of the output
/// values. The shader expects words of 8 bytes. Its operands are the number of elements, an address per tensor and the
/// bits of each scalar. Its parameters, if any tensor is strided or the program reads an index, are the rank,
/// `LKS_MAX_RANK` extents, and for each strided tensor as many strides in elements. If there are too many operands for
/// push constants, they precede the parameters.
std::string shader_text(const std::vector<lks_instr>& instrs, const std::vector<std::uint32_t>& outputs,
                        const PointwiseShape& shape);

}  // namespace vulkan
