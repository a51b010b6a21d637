#include "conformance/checks/special_dependents.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <optional>
#include <utility>

#include "conformance/checks/slopes.h"

namespace lockstep::conformance {
namespace {

constexpr long double nan_value = std::numeric_limits<long double>::quiet_NaN();

// How one element changes the results on both sides.
struct Response {
  Sides sides;
  long double weight = 0;
  bool hidden = false;  // NaN, infinity or round-off hides whether a result depends on the element
};

// Inputs in which some elements were replaced, and the results for them.
struct World {
  std::vector<RefArray> inputs, base;
};

class Dependents {
 public:
  Dependents(const GradientSetup& s, const std::vector<RefArray>& gradients, MathMode mode)
      : s_(s), gradients_(gradients), mode_(mode), base_(s.oracle.forward(s.wide_inputs)) {}

  std::string first_fault() {
    const bool sums = s_.op.error_class == ErrorClass::sum;
    sums ? make_finite() : go_far_out();
    for (std::size_t i = 0; i < s_.inputs.size(); ++i) {
      if (!s_.takes_gradient(i)) continue;
      for (std::size_t at : chosen(s_.wide_inputs[i])) {
        std::string fault = fault_at(i, at);
        if (fault.empty()) fault = sums ? fault_of_sum(i, at) : fault_of_limit(i, at);
        if (!fault.empty()) return fault;
      }
    }
    return nan_that_vanishes();
  }

 private:
  static constexpr std::size_t max_elements = 32, max_infinite = 8, max_broken = 6, max_nan = 64;

  // The elements to check: first some infinities, then small whole numbers, since zeros and ties are among them.
  static std::vector<std::size_t> chosen(const RefArray& a) {
    std::vector<std::size_t> all, whole, others;
    for (std::size_t k = 0; k < a.values.size(); ++k) {
      const long double v = a.values[k];
      if (std::isnan(v)) continue;
      const bool small = std::fabs(v) <= 1 && v == std::trunc(v);
      (std::isinf(v) ? all : small ? whole : others).push_back(k);
    }
    if (all.size() > max_infinite) all.resize(max_infinite);
    if (whole.size() > max_elements / 2) whole.resize(max_elements / 2);
    all.insert(all.end(), whole.begin(), whole.end());
    for (std::size_t k = 0; k < others.size() && all.size() < max_elements; ++k) all.push_back(others[k]);
    return all;
  }

  // `base` are the results for `inputs`. The element must be finite there.
  Response response(const std::vector<RefArray>& inputs, const std::vector<RefArray>& base, std::size_t i,
                    std::size_t at, long double min_step = 0) const {
    Response r;
    for (const int direction : {1, -1}) {
      std::vector<RefArray> there = inputs;
      long double& v = there[i].values[at];
      const long double small = moved(v, direction) - v;
      const long double step = std::fabs(small) < min_step ? direction * min_step : small;
      v += step;
      long double slope = 0;
      const std::vector<RefArray> results = s_.oracle.forward(there);
      for (std::size_t o = 0; o < results.size(); ++o) {
        if (!s_.oracle.is_differentiable_output(o)) continue;
        for (std::size_t k = 0; k < results[o].values.size(); ++k) {
          const long double y = base[o].values[k], moved_y = results[o].values[k];
          if (same(moved_y, y) && std::isfinite(y)) continue;
          if (!std::isfinite(y) || !std::isfinite(moved_y) || is_absorbed(y, step, moved_y - y)) {
            r.hidden = true;
            return r;
          }
          slope += s_.cotangents[o].values[k] * (moved_y - y) / step;
          r.weight += std::fabs(s_.cotangents[o].values[k]);
        }
      }
      r.sides.add(slope);
    }
    return r;
  }

  std::string judged(const Response& r, std::size_t i, std::size_t at) const {
    const long double given = gradients_[i].values[at];
    const SlopeTolerance tolerance = slope_tolerance(s_.inputs[i].dtype, mode_);
    if (r.hidden || r.sides.count < 2 || lies_between(given, r.sides, r.weight, tolerance)) return "";
    return place_text(i, at, given, between_text(r.sides));
  }

  std::string fault_at(std::size_t i, std::size_t at) const {
    if (std::isinf(s_.wide_inputs[i].values[at])) return "";
    return judged(response(s_.wide_inputs, base_, i, at), i, at);
  }

  // Puts 0 in place of infinity and NaN.
  void make_finite() {
    World& w = finite_.emplace(World{s_.wide_inputs, {}});
    for (std::size_t q = 0; q < w.inputs.size(); ++q) {
      if (!s_.oracle.is_differentiable_input(q)) continue;
      for (std::size_t k = 0; k < w.inputs[q].values.size(); ++k) {
        if (std::isfinite(w.inputs[q].values[k])) continue;
        w.inputs[q].values[k] = 0;
        broken_.emplace_back(q, k);
      }
    }
    w.base = s_.oracle.forward(w.inputs);
  }

  // A sum of products is linear in each input, so the gradient at an element does not depend on the input's own values.
  // With respect to the other inputs it is linear too: infinity or NaN among them counts if its coefficient is not 0.
  std::string fault_of_sum(std::size_t i, std::size_t at) const {
    const std::vector<RefArray>& finite = finite_->inputs;
    std::vector<std::pair<std::size_t, std::size_t>> others;
    std::copy_if(broken_.begin(), broken_.end(), std::back_inserter(others),
                 [&](const auto& b) { return b.first != i; });
    if (others.size() > max_broken) return "";  // the values drawn have fewer
    const long double given = gradients_[i].values[at];
    long double infinite = 0;  // the sum of what is not finite
    for (const auto& [q, k] : others) {
      const long double coefficient = contraction(finite, i, at, 1, q, k, 1) - contraction(finite, i, at, 0, q, k, 1) -
                                      contraction(finite, i, at, 1, q, k, 0) + contraction(finite, i, at, 0, q, k, 0);
      if (std::fabs(coefficient) > 1e-9L) infinite += coefficient * s_.wide_inputs[q].values[k];
    }
    if (infinite == 0) return judged(response(finite, finite_->base, i, at), i, at);
    if (same(given, infinite)) return "";
    char text[80];
    std::snprintf(text, sizeof text, "what is not finite adds up to %.10Lg", infinite);
    return place_text(i, at, given, text);
  }

  // The contraction with two elements replaced.
  long double contraction(std::vector<RefArray> inputs, std::size_t i, std::size_t at, long double x, std::size_t q,
                          std::size_t k, long double y) const {
    inputs[i].values[at] = x;
    inputs[q].values[k] = y;
    return s_.oracle.contraction(inputs, s_.cotangents);
  }

  // Puts numbers in place of infinities that are larger than all others, and numbers that are four times as large.
  // There is nothing to look at if they move a finite result: then the gradient is not the one at infinity.
  void go_far_out() {
    for (const long double times : {1.0L, 4.0L}) {
      World w{s_.wide_inputs, {}};
      bool replaced = false;
      for (std::size_t q = 0; q < w.inputs.size(); ++q) {
        if (!s_.oracle.is_differentiable_input(q)) continue;
        long double far = 1e4L;
        for (long double v : w.inputs[q].values) far = std::max(far, std::isfinite(v) ? 4 * std::fabs(v) : 0);
        for (long double& v : w.inputs[q].values) {
          if (!std::isinf(v)) continue;
          v = std::copysign(times * far, v);
          replaced = true;
        }
      }
      if (!replaced) return;
      w.base = s_.oracle.forward(w.inputs);
      if (tends_to_base(w.base)) far_out_.push_back(std::move(w));
    }
  }

  bool tends_to_base(const std::vector<RefArray>& base) const {
    for (std::size_t o = 0; o < base.size(); ++o) {
      if (!s_.oracle.is_differentiable_output(o)) continue;
      for (std::size_t k = 0; k < base[o].values.size(); ++k) {
        const long double y = base_[o].values[k], limit = base[o].values[k];
        if (std::isnan(y) && !std::isnan(limit)) return false;
        if (std::isfinite(y) && std::fabs(y - limit) > 1e-9L * std::max(1.0L, std::fabs(y))) return false;
      }
    }
    return true;
  }

  std::string fault_of_limit(std::size_t i, std::size_t at) const {
    if (far_out_.size() < 2) return "";
    constexpr long double step = 1e-6L;  // beside large numbers, changes by smaller steps are lost
    const Response near = response(far_out_[0].inputs, far_out_[0].base, i, at, step);
    const Response nearer = response(far_out_[1].inputs, far_out_[1].base, i, at, step);
    for (const Response& r : {near, nearer}) {
      if (r.hidden || r.sides.count < 2) return "";
    }
    const auto of = [](const Response& r) { return (r.sides.low + r.sides.high) / 2; };
    const SlopeTolerance tolerance = slope_tolerance(s_.inputs[i].dtype, mode_);
    const long double given = gradients_[i].values[at];
    if (std::fabs(of(nearer) - of(near)) <= tolerance.absolute * near.weight) return judged(nearer, i, at);
    if (is_limit(given, of(near), of(nearer), 1, tolerance)) return "";
    char text[100];
    std::snprintf(text, sizeof text, "where the slopes of the oracle are %.10Lg and then %.10Lg", of(near), of(nearer));
    return place_text(i, at, given, text);
  }

  // Each NaN among the results that comes from an element that is NaN must reach a gradient: of that element or, if
  // there are several, of one of them.
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
    if (broken.size() > max_nan) broken.resize(max_nan);
    const std::vector<RefArray> without = s_.oracle.forward(clean);
    std::vector<bool> told(base_[0].values.size()), of_nan(told.size());
    for (const auto& [i, k] : broken) {
      clean[i].values[k] = nan_value;
      const std::vector<RefArray> with = s_.oracle.forward(clean);
      clean[i].values[k] = 0.5L;
      std::vector<std::size_t> made;
      long double sum = 0;
      for (std::size_t o = 0; o < told.size(); ++o) {
        if (!std::isnan(with[0].values[o]) || std::isnan(without[0].values[o])) continue;
        of_nan[o] = true;
        made.push_back(o);
        sum += s_.cotangents[0].values[o];
      }
      // The cotangents of several results may add up to 0.
      const bool cancels = made.size() > 1 && std::fabs(sum) < 0.02L;
      for (std::size_t o : made) told[o] = told[o] || cancels || gradients_[i].values[k] != 0;
    }
    for (std::size_t o = 0; o < told.size(); ++o) {
      if (of_nan[o] && !told[o] && std::isnan(base_[0].values[o])) {
        return "result " + std::to_string(o) + " is NaN, and so is what it comes from, but the gradient there is 0";
      }
    }
    return "";
  }

  const GradientSetup& s_;
  const std::vector<RefArray>& gradients_;
  const MathMode mode_;
  const std::vector<RefArray> base_;
  std::optional<World> finite_;                              // in sums: without infinity and NaN
  std::vector<std::pair<std::size_t, std::size_t>> broken_;  // in sums: input and element of each infinity and NaN
  std::vector<World>
      far_out_;  // in other ops, if there are infinities: with large numbers for them, and with larger ones
};

}  // namespace

std::string fault_of_dependents(const GradientSetup& s, const std::vector<RefArray>& gradients, MathMode mode) {
  return Dependents(s, gradients, mode).first_fault();
}

}  // namespace lockstep::conformance
