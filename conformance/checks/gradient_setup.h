// Shared setup of the checks of derivatives.
#pragma once

#include "conformance/case_data.h"
#include "conformance/cases/test_case.h"
#include "conformance/oracle.h"
#include "lockstep/autodiff.h"

namespace lockstep::conformance {

/// One case with its values, and random cotangents and directions. f16 and bf16 use the oracle of f32 on the same
/// values, because differences of a rounded function are meaningless. The test case must outlive it.
struct GradientSetup {
  const OpDef& op;
  const OpCase& c;
  const OpCase wide;
  Oracle oracle;
  std::vector<RefArray> inputs, wide_inputs;
  std::vector<RefArray> cotangents;  // per output
  std::vector<RefArray> directions;  // per input; empty if no derivative is taken
  CaseOperands operands;
  std::vector<Tensor> cotangent_tensors;

  GradientSetup(const TestCase& t, Device device);

  bool takes_gradient(std::size_t i) const { return oracle.is_differentiable_input(i) && !inputs[i].values.empty(); }
  /// The contraction of the outputs with the cotangents, on the device.
  Tensor contraction() const;
  std::vector<Source> sources() const;
  /// The dtype of the first input that takes a gradient.
  DType dtype() const;
};

/// The gradients of the contraction, per source, by a tape.
std::vector<Tensor> gradients_on(const GradientSetup& s, Device device);

}  // namespace lockstep::conformance
