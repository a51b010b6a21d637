#include "conformance/oracle.h"

#include <cmath>
#include <utility>

namespace lockstep::conformance {
namespace {

// Steps of central differences. They are large enough that the round-off of 64-bit mantissas is negligible in second
// differences, and small enough that the truncation error is.
constexpr long double first_step = 1e-6L;
constexpr long double directional_step = 1e-4L;
constexpr long double second_step = 1e-4L;

}  // namespace

PartialDerivatives::PartialDerivatives(Function function, std::vector<RefArray> point, long double step, bool is_linear)
    : function_(std::move(function)), point_(std::move(point)), step_(step), is_linear_(is_linear) {}

long double PartialDerivatives::by(std::size_t i, std::size_t at) {
  const auto moved_by = [&](long double distance) {
    long double& element = point_[i].values[at];
    const long double centre = std::exchange(element, element + distance);
    const long double value = function_(point_);
    element = centre;
    return value;
  };
  if (!is_linear_) return (moved_by(step_) - moved_by(-step_)) / (2 * step_);
  if (!here_) here_ = function_(point_);
  return moved_by(1) - *here_;
}

Oracle::Oracle(const OpDef& op, const OpCase& c)
    : case_(c), is_linear_(op.error_class == ErrorClass::sum), reference_(AbstractCase(op, c).call()) {}

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

PartialDerivatives Oracle::derivatives(std::vector<RefArray> inputs, std::span<const RefArray> cotangents) const {
  const auto function = [this, cotangents](std::span<const RefArray> there) { return contraction(there, cotangents); };
  return PartialDerivatives(function, std::move(inputs), first_step, is_linear_);
}

long double Oracle::along(std::span<const RefArray> inputs, std::span<const RefArray> cotangents,
                          std::span<const RefArray> directions) const {
  const auto moved = [&](long double step) {
    std::vector<RefArray> there(inputs.begin(), inputs.end());
    for (std::size_t i = 0; i < there.size(); ++i) {
      for (std::size_t k = 0; k < directions[i].values.size(); ++k)
        there[i].values[k] += step * directions[i].values[k];
    }
    return contraction(there, cotangents);
  };
  return (moved(directional_step) - moved(-directional_step)) / (2 * directional_step);
}

PartialDerivatives Oracle::second_derivatives(std::vector<RefArray> inputs, std::span<const RefArray> cotangents,
                                              std::span<const RefArray> directions) const {
  const auto function = [this, cotangents, directions](std::span<const RefArray> there) {
    return along(there, cotangents, directions);
  };
  return PartialDerivatives(function, std::move(inputs), second_step, is_linear_);
}

}  // namespace lockstep::conformance
