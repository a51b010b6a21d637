// The oracle's results and derivatives for a case.
#pragma once

#include <functional>
#include <optional>

#include "conformance/case_data.h"
#include "ops/reference_call.h"

namespace lockstep::conformance {

/// The derivatives of a function of several arrays by single elements, all at one point.
class PartialDerivatives {
 public:
  using Function = std::function<long double(std::span<const RefArray>)>;

  /// Takes central differences over this step. If the function is linear in each array, plus a constant, a difference
  /// over a step of 1 is exact, and one of its two values is the same for all elements.
  PartialDerivatives(Function function, std::vector<RefArray> point, long double step, bool is_linear);

  /// d function / d element `at` of array `i`.
  long double by(std::size_t i, std::size_t at);

 private:
  Function function_;
  std::vector<RefArray> point_;
  long double step_;
  bool is_linear_;
  std::optional<long double> here_;
};

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

  /// The derivatives of the contraction. The oracle and the cotangents must outlive them.
  PartialDerivatives derivatives(std::vector<RefArray> inputs, std::span<const RefArray> cotangents) const;

  /// The directional derivative of the contraction along `directions` (one per input; empty for inputs that are held
  /// fixed).
  long double along(std::span<const RefArray> inputs, std::span<const RefArray> cotangents,
                    std::span<const RefArray> directions) const;

  /// The derivatives of along(). The oracle, the cotangents and the directions must outlive them.
  PartialDerivatives second_derivatives(std::vector<RefArray> inputs, std::span<const RefArray> cotangents,
                                        std::span<const RefArray> directions) const;

 private:
  const OpCase& case_;
  bool is_linear_;  // in each input, plus a constant: sums, and sums of products of different inputs
  ReferenceCall reference_;
};

}  // namespace lockstep::conformance
