// The inputs of a conformance case.
#pragma once

#include <string>
#include <vector>

#include "lockstep/op_def.h"

namespace lockstep::conformance {

/// How a tensor lies in memory.
enum class Layout : std::uint8_t {
  dense,
  sliced,      // every second element of a larger block, starting at an odd offset
  transposed,  // dimensions stored in reverse order
};
inline constexpr Layout layouts[] = {Layout::dense, Layout::sliced, Layout::transposed};
const char* name_of(Layout layout);

/// Values for each input, the same on every machine: drawn from the names of op and case. Values are representable in
/// the input's dtype. Absent inputs have none; numbers have one.
std::vector<RefArray> case_inputs(const OpDef& op, const OpCase& c);

/// The inputs as operands on a device; keeps the tensors that the operands borrow.
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

/// A tensor with the array's values, rounded to its dtype.
Tensor to_tensor(const RefArray& values, Device device, Layout layout = Layout::dense);

/// A tensor's values.
RefArray to_array(const Tensor& tensor);

/// The attribute struct of a case: its own, else the op's defaults.
const void* attrs_of(const OpDef& op, const OpCase& c);

}  // namespace lockstep::conformance
