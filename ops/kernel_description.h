// What a driver is told about a call: the op, the dtypes of its numbers, aliases, and the program of a pointwise op.
#pragma once

#include <span>

#include "ops/call_types.h"
#include "runtime/device_state.h"

namespace lockstep {

/// The context of describe_call(). What it refers to must outlive the request.
struct DescribedCall {
  const OpCall& call;
  const CallTypes& types;
};

/// For KernelRequest::describe: fills in the parts of a kernel's description that describe the op itself.
void describe_call(lks_kernel_desc& desc, const void* described);

/// Asks a device, which need not be open, whether it has a kernel for the call on tensors of these specs. Of the
/// operands of `call`, only the kind (tensor, number or absent) is used.
KernelQuery query_kernel(const DeviceEntry& device, const OpCall& call, const CallTypes& types,
                         std::span<const TensorSpec> inputs, std::span<const TensorSpec> outputs,
                         MathMode mode = MathMode::strict);

/// Records the program of a pointwise call. Numbers become launch-time scalars. f16 and bf16 operands are converted to
/// f32 first; results that are f16 or bf16 in `output_dtypes` are converted from f32 last. `rank` is the rank of the
/// results. Throws ShapeError LS2004 if the program uses an index along an axis that the results do not have.
Program record_program(const OpCall& call, const CallTypes& types, std::span<const lks_dtype> output_dtypes, int rank);

/// The dtype of an op's own scalar i, given the dtypes of group T and of the first output.
inline lks_dtype own_scalar_dtype(const OpDef& op, std::size_t i, DType group, DType result) {
  switch (const lks_dtype declared = op.scalars[i].dtype) {
    case ScalarDef::of_inputs: return abi_dtype(compute_dtype(group));
    case ScalarDef::of_result: return abi_dtype(compute_dtype(result));
    case ScalarDef::widest_of_result: return is_floating(result) ? LKS_F64 : LKS_I64;
    default: return declared;
  }
}

}  // namespace lockstep
