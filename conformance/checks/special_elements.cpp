#include "conformance/checks/special_elements.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "conformance/checks/slopes.h"

namespace lockstep::conformance {
namespace {

bool any_nan(const std::vector<long double>& x) {
  return std::any_of(x.begin(), x.end(), [](long double v) { return std::isnan(v); });
}
bool any_infinite(const std::vector<long double>& x) {
  return std::any_of(x.begin(), x.end(), [](long double v) { return std::isinf(v); });
}

// The results for inputs in which some elements were replaced.
struct World {
  std::vector<RefArray> inputs, base;
  // Per input, all its elements moved to one side. Only for inputs that take a gradient.
  std::vector<std::vector<RefArray>> up, down;
};

// Checks all elements of a pointwise call at once.
class Elements {
 public:
  Elements(const GradientSetup& s, const std::vector<RefArray>& gradients, MathMode mode)
      : s_(s), gradients_(gradients), mode_(mode), given_(world_of(s.wide_inputs)) {}

  std::string first_fault() {
    for (const long double far : {1e30L, 4e30L, 1e4L, 4e4L}) {
      limits_.push_back(replaced([&](long double v) { return std::isinf(v) ? std::copysign(far, v) : v; }));
    }
    for (const long double close : {1e-20L, 0.25e-20L}) {
      poles_.push_back(replaced([&](long double v) { return v == 0 ? std::copysign(close, v) : v; }));
    }
    for (std::size_t i = 0; i < s_.inputs.size(); ++i) {
      if (!s_.takes_gradient(i)) continue;
      for (std::size_t k = 0; k < s_.inputs[i].values.size(); ++k) {
        if (std::string fault = fault_at(i, k); !fault.empty()) return fault;
      }
    }
    return nan_that_vanishes();
  }

 private:
  World world_of(const std::vector<RefArray>& inputs) const {
    World w{inputs, s_.oracle.forward(inputs), {}, {}};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      w.up.push_back(s_.takes_gradient(i) ? all_moved(inputs, i, 1) : std::vector<RefArray>());
      w.down.push_back(s_.takes_gradient(i) ? all_moved(inputs, i, -1) : std::vector<RefArray>());
    }
    return w;
  }

  template <typename Replacement>
  World replaced(Replacement replacement) const {
    std::vector<RefArray> inputs = s_.wide_inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!s_.oracle.is_differentiable_input(i)) continue;
      for (long double& v : inputs[i].values) v = replacement(v);
    }
    return world_of(inputs);
  }

  std::vector<RefArray> all_moved(std::vector<RefArray> there, std::size_t i, int direction) const {
    for (long double& v : there[i].values) v = moved(v, direction);
    return s_.oracle.forward(there);
  }

  // The operands of element k. An operand with one element is used for every k.
  static std::vector<long double> operands(const std::vector<RefArray>& inputs, std::size_t k) {
    std::vector<long double> x;
    for (const RefArray& a : inputs) x.push_back(a.values[a.values.size() == 1 ? 0 : k]);
    return x;
  }

  bool has_finite_result(const World& w, std::size_t k) const {
    for (std::size_t o = 0; o < w.base.size(); ++o) {
      if (s_.oracle.is_differentiable_output(o) && !std::isfinite(w.base[o].values[k])) return false;
    }
    return true;
  }

  // The slopes on both sides, or nullopt if a step is lost in round-off. Slopes that are not finite are left out. If
  // `weighted`, each output counts by its cotangent.
  std::optional<Sides> slopes(const World& w, std::size_t i, std::size_t k, bool weighted) const {
    Sides sides;
    const long double x = operands(w.inputs, k)[i];
    for (const int direction : {1, -1}) {
      const std::vector<RefArray>& there = direction > 0 ? w.up[i] : w.down[i];
      const long double step = moved(x, direction) - x;
      long double slope = 0;
      for (std::size_t o = 0; o < w.base.size(); ++o) {
        if (!s_.oracle.is_differentiable_output(o)) continue;
        const long double y = w.base[o].values[k], change = there[o].values[k] - y;
        if (is_absorbed(y, step, change)) return std::nullopt;
        slope += (weighted ? s_.cotangents[o].values[k] : 1) * change / step;
      }
      sides.add(slope);
    }
    return sides;
  }

  std::string fault_at(std::size_t i, std::size_t k) const {
    const long double given = gradients_[i].values[k];
    const std::vector<long double> x = operands(s_.wide_inputs, k);
    const SlopeTolerance tolerance = slope_tolerance(s_.inputs[i].dtype, mode_);
    // Outside its domain a function has no slope, whatever `slope` says about wider formats.
    if (!any_nan(x) && std::isnan(given_.base[0].values[k]) && std::isnan(given)) return "";
    if (const auto slope = s_.op.slope ? s_.op.slope(x, i) : std::nullopt) {
      Sides exact;
      const long double wanted = *slope * s_.cotangents[0].values[k];
      exact.add(wanted);
      const bool right = std::isfinite(wanted) ? lies_between(given, exact, 0, tolerance) : same(given, wanted);
      char text[80];
      std::snprintf(text, sizeof text, "by definition it is %.10Lg", wanted);
      return right ? "" : place_text(i, k, given, text);
    }
    if (any_nan(x)) return "";
    if (any_infinite(x) || !has_finite_result(given_, k)) return fault_of_limit(i, k);
    long double weight = 0;
    for (std::size_t o = 0; o < given_.base.size(); ++o) {
      if (s_.oracle.is_differentiable_output(o)) weight += std::fabs(s_.cotangents[o].values[k]);
    }
    const std::optional<Sides> sides = slopes(given_, i, k, true);
    if (!sides || sides->count < 2 || lies_between(given, *sides, weight, tolerance)) return "";
    return place_text(i, k, given, between_text(*sides));
  }

  // At infinity and at poles the gradient is the limit of the slopes, if the result is not NaN.
  std::string fault_of_limit(std::size_t i, std::size_t k) const {
    const long double given = gradients_[i].values[k], result = given_.base[0].values[k];
    const std::vector<long double> x = operands(s_.wide_inputs, k);
    if (std::isnan(result)) return "";
    const SlopeTolerance tolerance = slope_tolerance(s_.inputs[i].dtype, mode_);
    // A function that is finite at infinity is flat there.
    if (std::isinf(x[i]) && std::isfinite(result)) {
      return given == 0 ? "" : place_text(i, k, given, "where the function is flat");
    }
    const std::vector<World>& worlds = any_infinite(x) ? limits_ : poles_;
    for (std::size_t w = 0; w + 1 < worlds.size(); w += 2) {
      const auto near = only_slope(worlds[w], i, k), nearer = only_slope(worlds[w + 1], i, k);
      if (!near || !nearer) continue;
      if (is_limit(given, *near, *nearer, s_.cotangents[0].values[k], tolerance)) return "";
      char text[100];
      std::snprintf(text, sizeof text, "where the slopes of the oracle are %.10Lg and then %.10Lg", *near, *nearer);
      return place_text(i, k, given, text);
    }
    return "";
  }

  // The slope where there is only one, without the cotangent.
  std::optional<long double> only_slope(const World& w, std::size_t i, std::size_t k) const {
    if (!has_finite_result(w, k)) return std::nullopt;
    const std::optional<Sides> sides = slopes(w, i, k, false);
    if (!sides || sides->count < 2 || sides->high - sides->low > 1e-5L * std::fabs(sides->high)) return std::nullopt;
    return (sides->low + sides->high) / 2;
  }

  // If NaN among the operands makes the result NaN, some gradient must not be 0; otherwise training would go on with a
  // wrong gradient.
  std::string nan_that_vanishes() const {
    for (std::size_t k = 0; k < given_.base[0].values.size(); ++k) {
      const std::vector<long double> x = operands(s_.wide_inputs, k);
      bool of_nan = false, told = false;
      for (std::size_t i = 0; i < s_.inputs.size(); ++i) {
        if (!s_.takes_gradient(i)) continue;
        of_nan = of_nan || std::isnan(x[i]);
        told = told || gradients_[i].values[k] != 0 || (s_.op.slope && s_.op.slope(x, i));
      }
      if (of_nan && !told && std::isnan(given_.base[0].values[k])) {
        return "the result of element " + std::to_string(k) + " is NaN, and all gradients are 0";
      }
    }
    return "";
  }

  const GradientSetup& s_;
  const std::vector<RefArray>& gradients_;  // per input
  const MathMode mode_;
  const World given_;
  std::vector<World> limits_;  // in pairs: with large numbers in place of infinities, and with larger ones
  std::vector<World> poles_;   // a pair with small numbers in place of zeros
};

}  // namespace

bool is_elementwise(const GradientSetup& s) {
  if (!s.op.pointwise()) return false;
  const Shape& shape = s.oracle.output_specs()[0].shape;
  for (std::size_t i = 0; i < s.inputs.size(); ++i) {
    const CaseInput& in = s.c.inputs[i];
    if (in.absent || (!in.scalar && !(in.shape == shape))) return false;
  }
  return true;
}

std::string fault_of_elements(const GradientSetup& s, const std::vector<RefArray>& gradients, MathMode mode) {
  return Elements(s, gradients, mode).first_fault();
}

}  // namespace lockstep::conformance
