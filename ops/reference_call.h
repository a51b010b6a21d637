// A call as its oracle sees it: with abstract tensors, and with numbers and promoted operands as kernels get them.
#pragma once

#include <vector>

#include "ops/call_types.h"

namespace lockstep {

class ReferenceCall {
 public:
  /// Infers the outputs. Throws what the call itself would. The op, attributes and scalars must outlive this object.
  explicit ReferenceCall(const OpCall& call);

  const std::vector<TensorSpec>& output_specs() const { return specs_; }

  /// The result of OpDef::reference for these values. Entries for numbers and absent inputs are ignored. Values of
  /// promoted operands are rounded to their new dtype.
  std::vector<RefArray> answer(std::span<const RefArray> inputs) const;

 private:
  OpCall described() const { return {op_, operands_, attrs_, scalars_, where_}; }

  const OpDef& op_;
  const void* attrs_;
  std::span<const Scalar> scalars_;
  CallSite where_;
  std::vector<Tensor> abstract_;
  std::vector<Operand> operands_;
  std::vector<DType> dtypes_;  // per operand
  std::vector<bool> promoted_;
  std::vector<std::optional<RefArray>> numbers_;
  std::vector<TensorSpec> specs_;
};

}  // namespace lockstep
