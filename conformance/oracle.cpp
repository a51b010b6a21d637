#include "conformance/oracle.h"

#include <cmath>

namespace lockstep::conformance {
namespace {

// Steps of central differences. They are large enough that the round-off of 64-bit mantissas is negligible in second
// differences, and small enough that the truncation error is.
constexpr long double first_step = 1e-6L;
constexpr long double directional_step = 1e-4L;

}  // namespace

Oracle::Oracle(const OpDef& op, const OpCase& c) : case_(c), reference_(DescribedCase(op, c).call()) {}

std::vector<RefArray> Oracle::forward(std::span<const RefArray> inputs) const { return reference_.answer(inputs); }

bool Oracle::is_differentiable_input(std::size_t i) const {
  const CaseInput& input = case_.inputs[i];
  return !input.absent && !input.scalar && types::floating.has(input.dtype);
}

bool Oracle::is_differentiable_output(std::size_t o) const { return types::floating.has(output_specs()[o].dtype); }

long double Oracle::contraction(std::span<const RefArray> inputs, std::span<const RefArray> cotangents) const {
  const std::vector<RefArray> outputs = forward(inputs);
  long double total = 0;
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    if (!is_differentiable_output(o)) continue;
    for (std::size_t k = 0; k < outputs[o].values.size(); ++k) {
      total += outputs[o].values[k] * cotangents[o].values[k];
    }
  }
  return total;
}

long double Oracle::derivative(std::vector<RefArray> inputs, std::span<const RefArray> cotangents, std::size_t i,
                               std::size_t at) const {
  long double& element = inputs[i].values[at];
  const long double centre = element;
  element = centre + first_step;
  const long double high = contraction(inputs, cotangents);
  element = centre - first_step;
  const long double low = contraction(inputs, cotangents);
  return (high - low) / (2 * first_step);
}

long double Oracle::along(const std::vector<RefArray>& inputs, std::span<const RefArray> cotangents,
                          std::span<const RefArray> directions) const {
  const auto moved = [&](long double step) {
    std::vector<RefArray> there = inputs;
    for (std::size_t i = 0; i < there.size(); ++i) {
      for (std::size_t k = 0; k < directions[i].values.size(); ++k)
        there[i].values[k] += step * directions[i].values[k];
    }
    return contraction(there, cotangents);
  };
  return (moved(directional_step) - moved(-directional_step)) / (2 * directional_step);
}

}  // namespace lockstep::conformance
