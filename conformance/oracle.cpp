#include "conformance/oracle.h"

#include <cmath>

#include "ops/infer.h"

namespace lockstep::conformance {
namespace {

// Steps of central differences: wide enough that the rounding of 64-bit mantissas does not show in second differences,
// small enough for the truncation error not to.
constexpr long double first_step = 1e-6L;
constexpr long double directional_step = 1e-4L;

}  // namespace

Oracle::Oracle(const OpDef& op, const OpCase& c) : op_(op), case_(c) {
  descriptions_.reserve(c.inputs.size());
  for (const CaseInput& input : c.inputs) {
    if (input.absent) {
      operands_.push_back(Operand::absent());
    } else if (input.scalar) {
      operands_.push_back(input.scalar->kind == Scalar::Kind::floating ? Operand(input.scalar->floating)
                                                                       : Operand(input.scalar->integer));
    } else {
      descriptions_.push_back(Tensor::abstract({input.dtype, input.shape}));
      operands_.emplace_back(descriptions_.back());
    }
  }
  const OpCall call{op, operands_, attrs_of(op, c), c.scalars, std::source_location::current()};
  check_input_count(call);
  specs_.resize(op.outputs.size());
  InferContext context(call, check_dtypes(call), specs_);
  op.infer(context);
}

std::vector<RefArray> Oracle::forward(std::span<const RefArray> inputs) const {
  const OpCall call{op_, operands_, attrs_of(op_, case_), case_.scalars, std::source_location::current()};
  RefContext context{call, inputs, specs_, {}};
  for (const Spec& spec : specs_) context.outputs.push_back(RefArray::zeros(spec.dtype, spec.shape));
  op_.reference(context);
  return std::move(context.outputs);
}

bool Oracle::is_differentiable_input(std::size_t i) const {
  const CaseInput& input = case_.inputs[i];
  return !input.absent && !input.scalar && types::floating.has(input.dtype);
}

bool Oracle::is_differentiable_output(std::size_t o) const { return types::floating.has(specs_[o].dtype); }

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
