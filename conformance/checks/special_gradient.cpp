#include "conformance/checks/special_gradient.h"

#include <algorithm>
#include <cmath>

#include "conformance/checks/forward.h"
#include "conformance/checks/gradient_setup.h"
#include "conformance/checks/slopes.h"
#include "conformance/checks/special_dependents.h"
#include "conformance/checks/special_elements.h"
#include "lockstep/ops.h"

namespace lockstep::conformance {
namespace {

// -------------------------------------------------------------------------------------------------- second order

// The step of second differences.
long double second_step(long double x) { return 1e-4L * std::max(std::fabs(x), 0.01L); }

// Functions of one number.
bool has_second(const GradientSetup& s) { return s.op.pointwise() && s.inputs.size() == 1 && s.op.outputs.size() == 1; }

Tensor second_gradient_on(const GradientSetup& s, Device device) {
  DeviceScope scope(device);
  GradientTape outer;
  for (const Source& source : s.sources()) outer.watch(*source.tensor());
  const Tensor first = gradients_on(s, device)[0];
  return outer.gradient(sum(first), s.sources(), {.unconnected = Unconnected::zero})[0];
}

// Checks second derivatives of functions of one number. At infinity they must be 0, not NaN, if the function is finite
// there. Elsewhere they must agree with the oracle's second difference, which reveals formulas whose terms cancel.
std::string second_fault(const TestCase& t, const GradientSetup& s, Device device) {
  if (!has_second(s)) return "";
  const std::vector<RefArray> base = s.oracle.forward(s.wide_inputs);
  const RefArray given = to_array(second_gradient_on(s, device));
  std::vector<RefArray> up = s.wide_inputs, down = s.wide_inputs;
  for (std::size_t k = 0; k < given.values.size(); ++k) {
    const long double step = second_step(s.wide_inputs[0].values[k]);
    up[0].values[k] += step;
    down[0].values[k] -= step;
  }
  up = s.oracle.forward(up);
  down = s.oracle.forward(down);
  for (std::size_t k = 0; k < given.values.size(); ++k) {
    const long double x = s.inputs[0].values[k], y = base[0].values[k], result = given.values[k];
    if (!std::isfinite(y) || std::isnan(x)) continue;
    if (std::isinf(x)) {
      if (result != 0) return "second " + place_text(0, k, result, "where the function is flat");
      continue;
    }
    if (t.values != Values::drawn) continue;
    Sides sides;
    const long double step = second_step(x), weight = s.cotangents[0].values[k];
    sides.add(weight * (up[0].values[k] - 2 * y + down[0].values[k]) / (step * step));
    if (sides.count == 0 || lies_between(result, sides, weight, slope_tolerance(s.inputs[0].dtype, t.mode))) continue;
    return "second " + place_text(0, k, result, between_text(sides));
  }
  return "";
}

}  // namespace

Verdict check_special_gradient(const TestCase& t, const Setting& setting) {
  const GradientSetup s(t, setting.device);
  const std::vector<Tensor> gradients = gradients_on(s, setting.device);
  if (t.mode == MathMode::lockstep) {
    const auto of = [&](const GradientSetup& setup, std::vector<Tensor> first, Device device) {
      if (has_second(setup)) first.push_back(second_gradient_on(setup, device));
      return first;
    };
    const auto on_trusted = [&] {
      const GradientSetup setup(t, setting.trusted);
      return of(setup, gradients_on(setup, setting.trusted), setting.trusted);
    };
    const auto trusted = verdict_of_trusted(t, setting, of(s, gradients, setting.device), on_trusted);
    if (trusted) return *trusted;
  }
  std::vector<RefArray> arrays(s.inputs.size());
  std::size_t g = 0;
  for (std::size_t i = 0; i < s.inputs.size(); ++i) {
    if (s.takes_gradient(i)) arrays[i] = to_array(gradients[g++]);
  }
  std::string fault = is_elementwise(s) ? fault_of_elements(s, arrays, t.mode) : fault_of_dependents(s, arrays, t.mode);
  // Formulas whose terms cancel are known from f32 and f64.
  const bool has_few_bits = is_half_width(s.dtype()) || t.mode == MathMode::fast;
  if (fault.empty() && !has_few_bits) fault = second_fault(t, s, setting.device);
  return fault.empty() ? Verdict() : failure(std::move(fault));
}

}  // namespace lockstep::conformance
