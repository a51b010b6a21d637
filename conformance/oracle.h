// The oracle's results and derivatives for a case.
#pragma once

#include "conformance/case_data.h"
#include "ops/reference_call.h"

namespace lockstep::conformance {

class Oracle {
 public:
  Oracle(const OpDef& op, const OpCase& c);

  const std::vector<TensorSpec>& output_specs() const { return reference_.output_specs(); }
  std::vector<RefArray> forward(std::span<const RefArray> inputs) const;

  /// Whether derivatives are taken with respect to this input, or of this output.
  bool is_differentiable_input(std::size_t i) const;
  bool is_differentiable_output(std::size_t o) const;

  /// The sum over all outputs of cotangent times value: the function whose gradients are taken.
  long double contraction(std::span<const RefArray> inputs, std::span<const RefArray> cotangents) const;

  /// d contraction / d element `at` of input `i`, by central differences.
  long double derivative(std::vector<RefArray> inputs, std::span<const RefArray> cotangents, std::size_t i,
                         std::size_t at) const;

  /// The directional derivative of the contraction along `directions` (one per input; empty for inputs that are held
  /// fixed).
  long double along(const std::vector<RefArray>& inputs, std::span<const RefArray> cotangents,
                    std::span<const RefArray> directions) const;

 private:
  const OpCase& case_;
  ReferenceCall reference_;
};

}  // namespace lockstep::conformance
