// Converts the inputs of a case to device tensors, and results to arrays of the oracle.
#pragma once

#include <string>
#include <vector>

#include "conformance/cases/values.h"

namespace lockstep::conformance {

/// The inputs of a case as operands on a device. Owns the tensors to which the operands refer. If an array has fewer
/// values than the case's input has elements, the values are repeated.
class CaseOperands {
 public:
  /// The op and the case must outlive it.
  CaseOperands(const OpDef& op, const OpCase& c, std::span<const RefArray> values, Device device, Layout layout);
  std::span<const Operand> operands() const { return operands_; }
  /// The tensor of input i; only for inputs that are tensors.
  const Tensor& tensor(std::size_t i) const { return *tensors_[i]; }
  bool is_tensor(std::size_t i) const { return tensors_[i].has_value(); }
  /// Gives input i, which is a tensor, other values in the same layout. Leaves the tensors of the others alone.
  void replace(std::size_t i, const RefArray& values);

 private:
  Tensor made(std::size_t i, const RefArray& values) const;

  const OpDef& op_;
  const OpCase& case_;
  const Device device_;
  const Layout layout_;
  std::vector<std::optional<Tensor>> tensors_;
  std::vector<Operand> operands_;
};

/// A case as a call on abstract tensors. The op and the case must outlive it.
class AbstractCase {
 public:
  AbstractCase(const OpDef& op, const OpCase& c);
  OpCall call() const;

 private:
  const OpDef& op_;
  const OpCase& case_;
  std::vector<Tensor> abstract_;
  std::vector<Operand> operands_;
};

/// The case, or the arrays, with f32 in place of f16 and bf16: the dtype in which ops on these compute.
OpCase promoted(const OpCase& c);
std::vector<RefArray> promoted(std::vector<RefArray> arrays);

/// A tensor with the array's values, rounded to its dtype. If the shape cannot have the layout (see shape_has_layout),
/// the tensor is dense. If the layout has a shared dimension, the values must be equal along it.
Tensor to_tensor(const RefArray& values, Device device, Layout layout = Layout::dense);

/// A dense tensor of the array's shape. The array has only the first values; they are repeated.
Tensor repeated_tensor(const RefArray& values, Device device);

/// A tensor's values.
RefArray to_array(const Tensor& tensor);

/// The attribute struct of a case, or the op's defaults if the case has none; nullptr if the op has no attributes.
const void* attrs_of(const OpDef& op, const OpCase& c);

}  // namespace lockstep::conformance
