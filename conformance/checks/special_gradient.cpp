#include "conformance/checks/special_gradient.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "conformance/checks/forward.h"
#include "conformance/checks/gradient_setup.h"
#include "lockstep/ops.h"

namespace lockstep::conformance {
namespace {

constexpr long double infinity = std::numeric_limits<long double>::infinity();
// Tolerances of derivatives in f32 and f64. Steps are 1e-7 of the operand, so difference quotients are off by about as
// much.
constexpr long double relative = 2e-4L, absolute = 2e-6L;

// The element after one step to one side.
long double moved(long double x, int direction) {
  const long double step = x == 0 ? 1e-12L : 1e-7L * std::fabs(x);
  return x + direction * step;
}

// Whether both the step and the change that it causes are lost in the round-off of the result, as in 1e38 + 1.
bool is_absorbed(long double y, long double step, long double change) {
  const long double least = 0x1p-40L * std::fabs(y);
  return std::fabs(step) < least && std::fabs(change) < least;
}

bool same(long double a, long double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

// The slopes on both sides, between which the derivative must lie.
struct Sides {
  long double low = infinity, high = -infinity;
  int count = 0;
  void add(long double slope) {
    if (!std::isfinite(slope)) return;
    low = std::min(low, slope);
    high = std::max(high, slope);
    ++count;
  }
};

std::string place_text(std::size_t input, std::size_t at, long double given, const std::string& wanted) {
  char text[160];
  std::snprintf(text, sizeof text, "gradient of input %zu, element %zu: the tape gives %.10Lg, ", input, at, given);
  return text + wanted;
}

std::string between_text(const Sides& s) {
  char text[120];
  std::snprintf(text, sizeof text, "the slopes of the oracle on both sides are %.10Lg and %.10Lg", s.low, s.high);
  return text;
}

bool lies_between(long double given, const Sides& s, long double weight, DType dtype) {
  const long double largest =
      dtype == DType::f64 ? std::numeric_limits<double>::max() : std::numeric_limits<float>::max();
  const long double least = 4 * (dtype == DType::f64 ? 0x1p-1074L : 0x1p-149L);
  const long double slack =
      relative * std::max(std::fabs(s.low), std::fabs(s.high)) + absolute * std::fabs(weight) + least;
  if (std::isinf(given)) return given > 0 ? s.high + slack >= largest : s.low - slack <= -largest;
  return s.low - slack <= given && given <= s.high + slack;
}

// ---------------------------------------------------------------------------------------------- pointwise calls

// Checks all elements of a pointwise call at once: each result depends on only one element per input.
class Elements {
 public:
  Elements(const GradientSetup& s, const std::vector<RefArray>& gradients)
      : s_(s), gradients_(gradients), base_(s.oracle.forward(s.wide_inputs)) {}

  std::string first_fault() {
    for (std::size_t i = 0; i < s_.inputs.size(); ++i) {
      if (!s_.takes_gradient(i)) continue;
      const std::vector<RefArray> up = s_.oracle.forward(all_moved(i, 1)), down = s_.oracle.forward(all_moved(i, -1));
      for (std::size_t k = 0; k < s_.inputs[i].values.size(); ++k) {
        if (std::string fault = fault_at(i, k, up, down); !fault.empty()) return fault;
      }
    }
    return nan_that_vanishes();
  }

 private:
  std::vector<RefArray> all_moved(std::size_t i, int direction) const {
    std::vector<RefArray> there = s_.wide_inputs;
    for (long double& v : there[i].values) v = moved(v, direction);
    return there;
  }

  // The operands of element k. An operand with one element is used for every k.
  std::vector<long double> operands(std::size_t k) const {
    std::vector<long double> x;
    for (const RefArray& a : s_.wide_inputs) x.push_back(a.values[a.values.size() == 1 ? 0 : k]);
    return x;
  }

  std::string fault_at(std::size_t i, std::size_t k, const std::vector<RefArray>& up,
                       const std::vector<RefArray>& down) const {
    const long double given = gradients_[i].values[k];
    const std::vector<long double> x = operands(k);
    const DType dtype = s_.wide_inputs[i].dtype;
    if (const auto slope = s_.op.slope ? s_.op.slope(x, i) : std::nullopt) {
      Sides exact;
      const long double wanted = *slope * s_.cotangents[0].values[k];
      exact.add(wanted);
      const bool right = std::isfinite(wanted) ? lies_between(given, exact, 0, dtype) : same(given, wanted);
      char text[80];
      std::snprintf(text, sizeof text, "by definition it is %.10Lg", wanted);
      return right ? "" : place_text(i, k, given, text);
    }
    bool finite_result = true;
    long double weight = 0;
    for (std::size_t o = 0; o < base_.size(); ++o) {
      if (!s_.oracle.is_differentiable_output(o)) continue;
      finite_result = finite_result && std::isfinite(base_[o].values[k]);
      weight += std::fabs(s_.cotangents[o].values[k]);
    }
    if (std::any_of(x.begin(), x.end(), [](long double v) { return std::isnan(v); }) || !finite_result) return "";
    // A function that is finite at infinity is flat there.
    if (std::isinf(x[i])) return given == 0 ? "" : place_text(i, k, given, "where the function is flat");
    Sides sides;
    for (const auto* there : {&up, &down}) {
      const long double step = moved(x[i], there == &up ? 1 : -1) - x[i];
      long double slope = 0;
      for (std::size_t o = 0; o < base_.size(); ++o) {
        if (!s_.oracle.is_differentiable_output(o)) continue;
        const long double y = base_[o].values[k], change = (*there)[o].values[k] - y;
        if (is_absorbed(y, step, change)) return "";
        slope += s_.cotangents[o].values[k] * change / step;
      }
      sides.add(slope);
    }
    if (sides.count < 2 || lies_between(given, sides, weight, dtype)) return "";
    return place_text(i, k, given, between_text(sides));
  }

  // If NaN among the operands makes the result NaN, some gradient must not be 0; otherwise training would go on with a
  // wrong gradient.
  std::string nan_that_vanishes() const {
    for (std::size_t k = 0; k < base_[0].values.size(); ++k) {
      const std::vector<long double> x = operands(k);
      bool of_nan = false, told = false;
      for (std::size_t i = 0; i < s_.inputs.size(); ++i) {
        if (!s_.takes_gradient(i)) continue;
        of_nan = of_nan || std::isnan(x[i]);
        told = told || gradients_[i].values[k] != 0 || (s_.op.slope && s_.op.slope(x, i));
      }
      if (of_nan && !told && std::isnan(base_[0].values[k])) {
        return "the result of element " + std::to_string(k) + " is NaN, and all gradients are 0";
      }
    }
    return "";
  }

  const GradientSetup& s_;
  const std::vector<RefArray>& gradients_;  // per input
  const std::vector<RefArray> base_;
};

bool is_elementwise(const GradientSetup& s) {
  if (!s.op.pointwise()) return false;
  const Shape& shape = s.oracle.output_specs()[0].shape;
  for (std::size_t i = 0; i < s.inputs.size(); ++i) {
    const CaseInput& in = s.c.inputs[i];
    if (in.absent || (!in.scalar && !(in.shape == shape))) return false;
  }
  return true;
}

// ------------------------------------------------------------------------------------------------ any other op

// Checks one element at a time, with all results that depend on it.
class Dependents {
 public:
  Dependents(const GradientSetup& s, const std::vector<RefArray>& gradients)
      : s_(s), gradients_(gradients), base_(s.oracle.forward(s.wide_inputs)) {}

  std::string first_fault() {
    for (std::size_t i = 0; i < s_.inputs.size(); ++i) {
      if (!s_.takes_gradient(i)) continue;
      for (std::size_t at : chosen(s_.wide_inputs[i])) {
        if (std::string fault = fault_at(i, at); !fault.empty()) return fault;
      }
    }
    return s_.op.error_class == ErrorClass::exact ? nan_that_vanishes() : "";
  }

 private:
  static constexpr std::size_t max_elements = 32;

  // The elements to check. Small whole numbers come first, since zeros and ties are among them.
  static std::vector<std::size_t> chosen(const RefArray& a) {
    std::vector<std::size_t> all, others;
    for (std::size_t k = 0; k < a.values.size(); ++k) {
      if (!std::isfinite(a.values[k])) continue;
      (std::fabs(a.values[k]) <= 1 && a.values[k] == std::trunc(a.values[k]) ? all : others).push_back(k);
    }
    if (all.size() > max_elements / 2) all.resize(max_elements / 2);
    for (std::size_t k = 0; k < others.size() && all.size() < max_elements; ++k) all.push_back(others[k]);
    return all;
  }

  std::string fault_at(std::size_t i, std::size_t at) const {
    Sides sides;
    long double weight = 0;
    for (const int direction : {1, -1}) {
      std::vector<RefArray> there = s_.wide_inputs;
      long double& v = there[i].values[at];
      const long double step = moved(v, direction) - v;
      v += step;
      long double slope = 0;
      const std::vector<RefArray> results = s_.oracle.forward(there);
      for (std::size_t o = 0; o < results.size(); ++o) {
        if (!s_.oracle.is_differentiable_output(o)) continue;
        for (std::size_t k = 0; k < results[o].values.size(); ++k) {
          if (same(results[o].values[k], base_[o].values[k]) && std::isfinite(base_[o].values[k])) continue;
          // NaN or infinity hides whether the result depends on the element.
          if (!std::isfinite(base_[o].values[k]) || !std::isfinite(results[o].values[k])) return "";
          const long double change = results[o].values[k] - base_[o].values[k];
          if (is_absorbed(base_[o].values[k], step, change)) return "";
          slope += s_.cotangents[o].values[k] * change / step;
          weight += std::fabs(s_.cotangents[o].values[k]);
        }
      }
      sides.add(slope);
    }
    const long double given = gradients_[i].values[at];
    if (sides.count < 2 || lies_between(given, sides, weight, s_.wide_inputs[i].dtype)) return "";
    return place_text(i, at, given, between_text(sides));
  }

  // In an op that chooses, each NaN among the results comes from an element that is NaN. That element must receive a
  // gradient.
  std::string nan_that_vanishes() const {
    std::vector<RefArray> clean = s_.wide_inputs;
    std::vector<std::pair<std::size_t, std::size_t>> broken;
    for (std::size_t i = 0; i < clean.size(); ++i) {
      if (!s_.takes_gradient(i)) continue;
      for (std::size_t k = 0; k < clean[i].values.size(); ++k) {
        if (!std::isnan(clean[i].values[k])) continue;
        clean[i].values[k] = 0.5L;
        broken.emplace_back(i, k);
      }
    }
    if (broken.size() > 64) return "";
    const std::vector<RefArray> without = s_.oracle.forward(clean);
    std::vector<bool> told(base_[0].values.size()), of_nan(told.size());
    for (const auto& [i, k] : broken) {
      clean[i].values[k] = std::numeric_limits<long double>::quiet_NaN();
      const std::vector<RefArray> with = s_.oracle.forward(clean);
      clean[i].values[k] = 0.5L;
      for (std::size_t o = 0; o < told.size(); ++o) {
        if (!std::isnan(with[0].values[o]) || std::isnan(without[0].values[o])) continue;
        of_nan[o] = true;
        if (gradients_[i].values[k] != 0) told[o] = true;
      }
    }
    for (std::size_t o = 0; o < told.size(); ++o) {
      if (of_nan[o] && !told[o] && std::isnan(base_[0].values[o])) {
        return "result " + std::to_string(o) +
               " is NaN, and so is what it was chosen from, but the gradient there is 0";
      }
    }
    return "";
  }

  const GradientSetup& s_;
  const std::vector<RefArray>& gradients_;
  const std::vector<RefArray> base_;
};

// -------------------------------------------------------------------------------------------------- second order

// The step of second differences.
long double second_step(long double x) { return 1e-4L * std::max(std::fabs(x), 0.01L); }

// Checks second derivatives of functions of one number. At infinity they must be 0, not NaN, if the function is finite
// there. Elsewhere they must agree with the oracle's second difference, which reveals formulas whose terms cancel.
std::string second_fault(const TestCase& t, const GradientSetup& s, Device device) {
  if (!s.op.pointwise() || s.inputs.size() != 1 || s.op.outputs.size() != 1) return "";
  const std::vector<RefArray> base = s.oracle.forward(s.wide_inputs);
  DeviceScope scope(device);
  GradientTape outer;
  for (const Source& source : s.sources()) outer.watch(*source.tensor());
  const Tensor first = gradients_on(s, device)[0];
  const Tensor second = outer.gradient(sum(first), s.sources(), {.unconnected = Unconnected::zero})[0];
  const RefArray given = to_array(second);
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
    if (sides.count == 0 || lies_between(result, sides, weight, s.wide_inputs[0].dtype)) continue;
    return "second " + place_text(0, k, result, between_text(sides));
  }
  return "";
}

}  // namespace

Verdict check_special_gradient(const TestCase& t, const Setting& setting) {
  const GradientSetup s(t, setting.device);
  const std::vector<Tensor> gradients = gradients_on(s, setting.device);
  if (t.mode == MathMode::lockstep && setting.device != setting.trusted) {
    const GradientSetup trusted(t, setting.trusted);
    const std::string other = first_difference(gradients, gradients_on(trusted, setting.trusted));
    if (!other.empty()) return failure("the bits are not those of " + setting.trusted.name() + ": " + other);
  }
  if (is_half_width(s.dtype())) return Verdict();  // slopes of values with few digits are meaningless
  std::vector<RefArray> arrays(s.inputs.size());
  std::size_t g = 0;
  for (std::size_t i = 0; i < s.inputs.size(); ++i) {
    if (s.takes_gradient(i)) arrays[i] = to_array(gradients[g++]);
  }
  std::string fault = is_elementwise(s) ? Elements(s, arrays).first_fault() : Dependents(s, arrays).first_fault();
  if (fault.empty()) fault = second_fault(t, s, setting.device);
  return fault.empty() ? Verdict() : failure(std::move(fault));
}

}  // namespace lockstep::conformance
