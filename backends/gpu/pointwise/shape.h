// What the text of a pointwise kernel depends on besides its program.
#pragma once

#include <string>
#include <vector>

#include "backends/common/kernel_table.h"

namespace gpu {

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

  PointwiseShape() = default;
  /// Chooses each tensor's Walk, which depends on which extents are 1 (and so broadcast) and on whether it is dense.
  explicit PointwiseShape(const common::KernelRequest& request);

  bool strided() const;
};

/// Why the program cannot be written as a kernel; empty if it can. `instrs` has no calls (common::inline_calls).
std::string why_not_writable(const std::vector<lks_instr>& instrs);

}  // namespace gpu
