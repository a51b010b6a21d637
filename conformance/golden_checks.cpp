#include "conformance/golden_checks.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "conformance/oracle.h"
#include "lockstep/autodiff.h"
#include "lockstep/ops.h"

namespace lockstep::conformance {
namespace {

// The error that a golden value may have, in units of the round-off of f64: 1 for a single IEEE operation, 4 for a math
// library call (up to two roundings of two units each), and a few times that for a composition of ops.
long double golden_units(ErrorClass c) {
  switch (c) {
    case ErrorClass::exact: return 0;
    case ErrorClass::rounded: return 1;
    case ErrorClass::elementary:
    case ErrorClass::power:
    case ErrorClass::transcendental: return 4;
    case ErrorClass::sum: return 4;
    case ErrorClass::gelu:
    case ErrorClass::composed: return 16;
  }
  return 0;
}

// A sum of n terms loses at most n round-offs of the sum of their magnitudes. No case sums more terms than this.
constexpr long double max_terms = 128;
constexpr long double roundoff = 0x1p-53L;

void worsen(Verdict& worst, const Verdict& v, const std::string& what) {
  worst.worst = std::max(worst.worst, v.worst);
  worst.worst_ulp = std::max(worst.worst_ulp, v.worst_ulp);
  if (v.ok || !worst.ok) return;
  worst.ok = false;
  worst.text = what + ": " + v.text;
}

bool is_wide(DType t) { return is_floating(t) && !is_half_width(t); }

// The error that an element of a golden output may have, in units of the round-off of f64.
long double golden_budget(const GoldenCase& c, ErrorClass error_class, long double value) {
  const long double terms = error_class == ErrorClass::exact ? 0 : max_terms * c.magnitude;
  return golden_units(error_class) * std::fabs(value) + terms;
}

Verdict mismatch(const char* what, std::size_t array, std::size_t at, long double given, long double golden,
                 long double allowed) {
  Verdict v;
  const long double error = std::fabs(given - golden);
  v.ok = error <= allowed;
  v.worst = static_cast<double>(error / allowed);
  if (v.ok) return v;
  char text[200];
  std::snprintf(text, sizeof text, "%s %zu, element %zu is %.15Lg, golden %.15Lg, off by %.3Lg, allowed %.3Lg", what,
                array, at, given, golden, error, allowed);
  v.text = text;
  return v;
}

long double largest(const RefArray& a) {
  long double most = 0;
  for (long double v : a.values) most = std::max(most, std::fabs(v));
  return most;
}

// The indices of the inputs and outputs to which the arrays of a gradient belong: those of f32 or f64.
struct Places {
  std::vector<std::size_t> sources, results;

  Places(const GoldenCase& c, const Oracle& oracle) {
    for (std::size_t i = 0; i < c.inputs.size(); ++i) {
      if (oracle.is_differentiable_input(i)) sources.push_back(i);
    }
    for (std::size_t o = 0; o < c.outputs.size(); ++o) {
      if (oracle.is_differentiable_output(o)) results.push_back(o);
    }
  }
};

// One array per input or output, from the arrays of the differentiable ones. The others are empty.
std::vector<RefArray> spread(const std::vector<RefArray>& given, const std::vector<std::size_t>& places,
                             std::size_t count) {
  std::vector<RefArray> all(count);
  for (std::size_t k = 0; k < places.size(); ++k) all[places[k]] = given[k];
  return all;
}

// Tolerances of differences. First order: the truncation error is 1e-12 times a third derivative, the round-off 1e-13
// times the function. Second order, with steps of 1e-4: 1e-8 times derivatives up to the fifth.
constexpr long double first_tolerance = 1e-9L, second_tolerance = 2e-6L;

// Whether the one-sided differences of the oracle disagree at an element.
bool has_kink(const Oracle& oracle, const GoldenCase& c, std::span<const RefArray> cotangents, std::size_t i,
              std::size_t at) {
  constexpr long double step = 1e-6L;
  std::vector<RefArray> there = c.inputs;
  const long double centre = oracle.contraction(there, cotangents);
  there[i].values[at] += step;
  const long double right = (oracle.contraction(there, cotangents) - centre) / step;
  there[i].values[at] -= 2 * step;
  const long double left = (centre - oracle.contraction(there, cotangents)) / step;
  return !(std::fabs(right - left) <= 1e-3L * (1 + std::fabs(right)));
}

// The oracle rounds in a cast to a narrower dtype, so its differences are meaningless there.
bool narrows(const GoldenCase& c) { return c.inputs[0].dtype == DType::f64 && c.outputs[0].dtype == DType::f32; }

}  // namespace

Verdict check_oracle(const GoldenCase& c) {
  const OpDef& op = *find_op(c.op);
  const std::vector<RefArray> results = Oracle(op, c.call).forward(c.inputs);
  Verdict worst;
  for (std::size_t o = 0; o < c.outputs.size(); ++o) {
    RefArray golden = c.outputs[o], exact = results[o];
    if (golden.dtype != exact.dtype || !(golden.shape == exact.shape)) return judge(golden, exact);
    exact.budget.clear();
    if (is_wide(golden.dtype)) {
      // Neither is rounded to the dtype yet, so both are compared as f64.
      golden.dtype = exact.dtype = DType::f64;
      if (op.error_class != ErrorClass::exact) {
        const std::vector<long double>& own = results[o].budget;
        for (std::size_t i = 0; i < exact.values.size(); ++i) {
          // The oracle's own round-off: its budget in units of the round-off of long double, converted to f64. The sums
          // of these cases are exact.
          const long double oracle_budget = own.empty() || op.error_class == ErrorClass::sum ? 0 : 0x1p-11L * own[i];
          exact.budget.push_back(golden_budget(c, op.error_class, exact.values[i]) + oracle_budget);
        }
      }
    }
    worsen(worst, judge(golden, exact), "output " + std::to_string(o));
  }
  return worst;
}

Verdict check_oracle_derivatives(const GoldenCase& c) {
  const Oracle oracle(*find_op(c.op), c.call);
  const Places places(c, oracle);
  const std::vector<RefArray> cotangents = spread(c.gradient->cotangents, places.results, c.outputs.size());
  const std::vector<RefArray> directions = spread(c.gradient->directions, places.sources, c.inputs.size());
  Verdict worst;
  if (narrows(c)) return worst;
  PartialDerivatives firsts = oracle.derivatives(c.inputs, cotangents);
  PartialDerivatives seconds = oracle.second_derivatives(c.inputs, cotangents, directions);
  bool smooth = true;
  for (std::size_t k = 0; k < places.sources.size(); ++k) {
    const std::size_t i = places.sources[k];
    const RefArray& golden = c.gradient->first[k];
    for (std::size_t at = 0; at < golden.values.size(); ++at) {
      if (has_kink(oracle, c, cotangents, i, at)) {
        smooth = false;
        continue;
      }
      const long double given = firsts.by(i, at);
      worsen(worst,
             mismatch("first derivative", i, at, given, golden.values[at], first_tolerance * (1 + largest(golden))),
             c.call.name);
    }
  }
  for (std::size_t k = 0; smooth && k < places.sources.size(); ++k) {
    const std::size_t i = places.sources[k];
    const RefArray& golden = c.gradient->second[k];
    for (std::size_t at = 0; at < golden.values.size(); ++at) {
      const long double given = seconds.by(i, at);
      worsen(worst,
             mismatch("second derivative", i, at, given, golden.values[at], second_tolerance * (1 + largest(golden))),
             c.call.name);
    }
  }
  return worst;
}

Verdict check_device(const GoldenCase& c, Device device) {
  DeviceScope scope(device);
  const OpDef& op = *find_op(c.op);
  const std::vector<RefArray> exact = Oracle(op, c.call).forward(c.inputs);
  const CaseOperands operands(op, c.call, c.inputs, device, Layout::dense);
  const std::vector<Tensor> results = invoke(op, operands.operands(), attrs_of(op, c.call), c.call.scalars);
  Verdict worst;
  for (std::size_t o = 0; o < results.size(); ++o) {
    // The golden value replaces the oracle's. The budget covers the errors of both the device and the golden value.
    RefArray golden = c.outputs[o];
    golden.budget = exact[o].budget;
    const long double slack = slack_for(op.error_class).factor, per_unit = golden.dtype == DType::f64 ? 1 : 0x1p-29L;
    for (std::size_t i = 0; i < golden.budget.size(); ++i) {
      golden.budget[i] = slack * golden.budget[i] + per_unit * golden_budget(c, op.error_class, golden.values[i]);
    }
    worsen(worst, judge(to_array(results[o]), golden), "output " + std::to_string(o));
  }
  return worst;
}

namespace {

// A gradient is computed by several ops, each within its bound. Their errors add up to at most this many units of
// round-off, relative to the largest elements involved.
constexpr long double gradient_units = 64;

void compare_gradients(const char* what, const std::vector<Tensor>& given, const std::vector<RefArray>& golden,
                       Verdict& worst) {
  for (std::size_t k = 0; k < golden.size(); ++k) {
    const RefArray values = to_array(given[k]);
    const long double unit = values.dtype == DType::f64 ? roundoff : 0x1p-24L;
    for (std::size_t at = 0; at < values.values.size(); ++at) {
      worsen(worst,
             mismatch(what, k, at, values.values[at], golden[k].values[at],
                      gradient_units * unit * (1 + largest(golden[k]))),
             "tape");
    }
  }
}

std::vector<Tensor> tensors_of(const std::vector<RefArray>& arrays, Device device) {
  std::vector<Tensor> all;
  for (const RefArray& a : arrays) all.push_back(to_tensor(a, device));
  return all;
}

// The sum over i of the inner product of a[i] and b[i].
Tensor contraction(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  std::optional<Tensor> total;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Tensor part = cast(sum(a[i] * b[i]), DType::f64);
    total = total ? *total + part : part;
  }
  return *total;
}

}  // namespace

Verdict check_device_gradients(const GoldenCase& c, Device device) {
  DeviceScope scope(device);
  const OpDef& op = *find_op(c.op);
  const Places places(c, Oracle(op, c.call));
  const CaseOperands operands(op, c.call, c.inputs, device, Layout::dense);
  const std::vector<Tensor> cotangents = tensors_of(c.gradient->cotangents, device);
  const std::vector<Tensor> directions = tensors_of(c.gradient->directions, device);
  std::vector<Source> sources, all;
  for (std::size_t i : places.sources) sources.emplace_back(operands.tensor(i));
  all = sources;
  for (const Tensor& cotangent : cotangents) all.emplace_back(cotangent);

  const GradientOptions zero{.unconnected = Unconnected::zero};
  GradientTape outer;
  for (const Source& source : all) outer.watch(*source.tensor());
  std::vector<Tensor> first;
  {
    GradientTape inner;
    for (const Source& source : sources) inner.watch(*source.tensor());
    const std::vector<Tensor> outputs = invoke(op, operands.operands(), attrs_of(op, c.call), c.call.scalars);
    std::vector<Tensor> results;
    for (std::size_t o : places.results) results.push_back(outputs[o]);
    first = inner.gradient(contraction(results, cotangents), sources, zero);
  }
  const std::vector<Tensor> second = outer.gradient(contraction(first, directions), all, zero);

  Verdict worst;
  compare_gradients("gradient", first, c.gradient->first, worst);
  std::vector<RefArray> golden = c.gradient->second;
  golden.insert(golden.end(), c.gradient->second_of_cotangents.begin(), c.gradient->second_of_cotangents.end());
  compare_gradients("second gradient", second, golden, worst);
  return worst;
}

}  // namespace lockstep::conformance
