// Kernels of f16 and bf16 that run a kernel of f32.
#pragma once

#include "conformance/mutants/mutant.h"

namespace mutants {

/// Whether an input or output has the dtype.
bool has_dtype(const lks_kernel_desc& desc, lks_dtype dtype);

/// Changes all tensors of f16 and bf16 to f32.
void promote(EditableDesc& e);

/// A kernel for the tensors of `desc`. It converts operands to f32, which is exact, runs `wide`, and rounds each result
/// once. The copies in f32 have the strides of the tensors.
std::unique_ptr<lks_kernel> make_half_kernel(std::unique_ptr<lks_kernel> wide, const lks_kernel_desc& desc);

}  // namespace mutants
