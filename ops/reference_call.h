// A call as its oracle sees it: descriptions in place of tensors, numbers and promoted operands as kernels get them.
#pragma once

#include <vector>

#include "ops/call_types.h"

namespace lockstep {

class ReferenceCall {
 public:
  /// Infers the outputs; throws what the call itself would. The op, attributes and scalars outlive it.
  explicit ReferenceCall(const OpCall& call);

  const std::vector<Spec>& output_specs() const { return specs_; }

  /// What OpDef::reference says of these values. Of numbers and absent inputs the entries do not count. Values of
  /// promoted operands are rounded to their new dtype.
  std::vector<RefArray> answer(std::span<const RefArray> inputs) const;

 private:
  OpCall described() const { return {op_, operands_, attrs_, scalars_, where_}; }

  const OpDef& op_;
  const void* attrs_;
  std::span<const Scalar> scalars_;
  std::source_location where_;
  std::vector<Tensor> descriptions_;
  std::vector<Operand> operands_;
  std::vector<DType> dtypes_;  // per operand
  std::vector<bool> promoted_;
  std::vector<std::optional<RefArray>> numbers_;
  std::vector<Spec> specs_;
};

}  // namespace lockstep
