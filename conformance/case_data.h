// The inputs of a conformance case on a device, and results back from it.
#pragma once

#include <string>
#include <vector>

#include "conformance/cases/values.h"

namespace lockstep::conformance {

/// The inputs as operands on a device; keeps the tensors that the operands borrow. Arrays may have fewer values than
/// the case's input, which repeats them then.
class CaseOperands {
 public:
  CaseOperands(const OpDef& op, const OpCase& c, std::span<const RefArray> values, Device device, Layout layout);
  std::span<const Operand> operands() const { return operands_; }
  /// The tensor of input i; only for inputs that are tensors.
  const Tensor& tensor(std::size_t i) const { return *tensors_[i]; }
  bool is_tensor(std::size_t i) const { return tensors_[i].has_value(); }

 private:
  std::vector<std::optional<Tensor>> tensors_;
  std::vector<Operand> operands_;
};

/// A case as a call on descriptions. The op and the case outlive it.
class DescribedCase {
 public:
  DescribedCase(const OpDef& op, const OpCase& c);
  OpCall call() const;

 private:
  const OpDef& op_;
  const OpCase& case_;
  std::vector<Tensor> descriptions_;
  std::vector<Operand> operands_;
};

/// The case, and arrays, with f32 in place of f16 and bf16: what the ops on these compute in.
OpCase widened(const OpCase& c);
std::vector<RefArray> widened(std::vector<RefArray> arrays);

/// A tensor with the array's values, rounded to its dtype; where the shape has no room for the layout, a dense one. The
/// values must be equal along the layout's shared dimension.
Tensor to_tensor(const RefArray& values, Device device, Layout layout = Layout::dense);

/// A dense tensor of the array's shape, of which the array has only the first values: they are repeated.
Tensor repeated_tensor(const RefArray& values, Device device);

/// A tensor's values.
RefArray to_array(const Tensor& tensor);

/// The attribute struct of a case: its own, else the op's defaults.
const void* attrs_of(const OpDef& op, const OpCase& c);

}  // namespace lockstep::conformance
