#include "conformance/checks/gradient.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "conformance/checks/forward.h"
#include "conformance/checks/gradient_setup.h"
#include "lockstep/autodiff.h"
#include "lockstep/ops.h"
#include "ops/random/philox_reference.h"

namespace lockstep::conformance {
namespace {

// Derivatives are compared at this many elements of each input.
constexpr std::size_t max_elements = 24;

std::vector<std::size_t> sample(std::size_t count) {
  std::vector<std::size_t> chosen;
  for (std::size_t k = 0; k < std::min(count, max_elements); ++k) {
    chosen.push_back(count <= max_elements ? k : random_word({99, count}, k) % count);
  }
  return chosen;
}

// f64 gradients must agree with the differences, f32 gradients within the round-off of a chain of ops. Ops on f16 and
// bf16 compute in f32, so only the rounding at the end of each op counts: this many unit round-offs.
constexpr double short_roundings = 8;

// Fast mode may compute products of f32 in bf16.
double tolerance_for(DType t, MathMode mode = MathMode::strict) {
  if (mode == MathMode::fast && t == DType::f32) return tolerance_for(DType::bf16);
  switch (t) {
    case DType::f64: return 2e-7;
    case DType::f16: return short_roundings * 0x1p-11;
    case DType::bf16: return short_roundings * 0x1p-8;
    default: return 2e-4;
  }
}

// A second gradient is a longer chain of ops, and second differences are less accurate.
double second_tolerance_for(DType t) { return is_half_width(t) ? 2 * tolerance_for(t) : 50 * tolerance_for(t); }

// Whether distinct values, rounded to the dtype, still differ by more than the steps of differences.
bool stays_distinct(const CaseInput& in) {
  if (in.values.kind != CaseValues::Kind::distinct) return true;
  return in.shape.size() <= (in.dtype == DType::bf16 ? 64 : in.dtype == DType::f16 ? 512 : in.shape.size());
}

void compare(const char* what, std::size_t input, std::size_t at, long double given, long double expected,
             long double scale, double tolerance, Verdict& verdict) {
  const long double allowed = tolerance * (std::fabs(expected) + scale);
  const long double error = std::fabs(given - expected);
  const double relative = std::isnan(error) ? 0 : static_cast<double>(error / allowed);
  if (error <= allowed || (std::isnan(given) && std::isnan(expected))) {
    verdict.worst = std::max(verdict.worst, relative);
    return;
  }
  verdict.worst = INFINITY;
  if (!verdict.ok) return;
  verdict.ok = false;
  char text[200];
  std::snprintf(text, sizeof text, "%s, input %zu, element %zu: the tape gives %.10Lg, the oracle %.10Lg", what, input,
                at, given, expected);
  verdict.text = text;
}

// The gradients, contracted with one direction per input: the derivative of the contraction along these directions.
// After it, its gradients, per source.
std::vector<Tensor> second_gradients_on(const GradientSetup& s, Device device) {
  DeviceScope scope(device);
  GradientTape outer;
  for (const Source& source : s.sources()) outer.watch(*source.tensor());
  for (std::size_t o = 0; o < s.cotangents.size(); ++o) {
    if (s.oracle.is_differentiable_output(o)) outer.watch(s.cotangent_tensors[o]);
  }
  std::optional<Tensor> along;
  {
    GradientTape inner;
    for (const Source& source : s.sources()) inner.watch(*source.tensor());
    const std::vector<Tensor> gradients =
        inner.gradient(s.contraction(), s.sources(), {.unconnected = Unconnected::zero});
    std::size_t g = 0;
    for (std::size_t i = 0; i < s.inputs.size(); ++i) {
      if (!s.takes_gradient(i)) continue;
      const Tensor part = sum(gradients[g++] * to_tensor(s.directions[i], device));
      along = along ? *along + part : part;
    }
  }
  std::vector<Tensor> results = outer.gradient(*along, s.sources(), {.unconnected = Unconnected::zero});
  results.insert(results.begin(), *along);
  return results;
}

long double largest(const RefArray& a) {
  long double most = 0;
  for (long double v : a.values) most = std::max(most, std::fabs(v));
  return most;
}

}  // namespace

bool has_gradient(const OpDef& op, const OpCase& c) {
  return has_derivative(op, c) && std::all_of(c.inputs.begin(), c.inputs.end(), stays_distinct);
}

bool has_derivative(const OpDef& op, const OpCase& c) {
  if (c.error || !c.gradient || !(op.gradient || op.decompose)) return false;
  return std::any_of(c.inputs.begin(), c.inputs.end(), [](const CaseInput& in) {
    return !in.absent && !in.scalar && types::floating.has(in.dtype) && in.shape.size() > 0;
  });
}

Verdict check_gradient(const TestCase& t, const Setting& setting) {
  const GradientSetup s(t, setting.device);
  const std::vector<Tensor> gradients = gradients_on(s, setting.device);
  const auto on_trusted = [&] { return gradients_on(GradientSetup(t, setting.trusted), setting.trusted); };
  if (const auto trusted = verdict_of_trusted(t, setting, gradients, on_trusted)) return *trusted;
  Verdict verdict;
  PartialDerivatives exact = s.oracle.derivatives(s.wide_inputs, s.cotangents);
  std::size_t g = 0;
  for (std::size_t i = 0; i < s.inputs.size(); ++i) {
    if (!s.takes_gradient(i)) continue;
    const RefArray given = to_array(gradients[g++]);
    if (!(given.shape == s.inputs[i].shape))
      return failure("the gradient of input " + std::to_string(i) + " has another shape");
    const long double scale = std::max(largest(given), 1e-3L);
    for (std::size_t at : sample(given.values.size())) {
      compare("gradient", i, at, given.values[at], exact.by(i, at), scale, tolerance_for(given.dtype, t.mode), verdict);
    }
  }
  return verdict;
}

Verdict check_second_gradient(const TestCase& t, const Setting& setting) {
  const GradientSetup s(t, setting.device);
  const std::vector<Tensor> results = second_gradients_on(s, setting.device);
  const auto on_trusted = [&] { return second_gradients_on(GradientSetup(t, setting.trusted), setting.trusted); };
  if (const auto trusted = verdict_of_trusted(t, setting, results, on_trusted)) return *trusted;
  const DType dtype = s.dtype();
  const double tolerance = second_tolerance_for(dtype);
  Verdict verdict;
  const long double exact = s.oracle.along(s.wide_inputs, s.cotangents, s.directions);
  compare("derivative along a direction", 0, 0, to_array(results[0]).values[0], exact,
          static_cast<long double>(s.inputs[0].values.size()), tolerance, verdict);

  PartialDerivatives exact_seconds = s.oracle.second_derivatives(s.wide_inputs, s.cotangents, s.directions);
  std::size_t g = 1;
  for (std::size_t i = 0; i < s.inputs.size(); ++i) {
    if (!s.takes_gradient(i)) continue;
    const RefArray given = to_array(results[g++]);
    const long double scale = std::max(largest(given), 0.1L);
    for (std::size_t at : sample(given.values.size())) {
      compare("second gradient", i, at, given.values[at], exact_seconds.by(i, at), scale, tolerance, verdict);
    }
  }
  return verdict;
}

}  // namespace lockstep::conformance
