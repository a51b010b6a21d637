#include "conformance/checks/forward.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <optional>

#include "conformance/cases/pairs.h"
#include "conformance/checks/kernel_log.h"
#include "conformance/oracle.h"
#include "runtime/device_state.h"
#include "runtime/element.h"

namespace lockstep::conformance {
namespace {

const RefArray* argument_for(const std::vector<RefArray>& inputs, const RefArray& exact) {
  const bool fits = !inputs.empty() && inputs[0].shape == exact.shape && inputs[0].values.size() == exact.values.size();
  return fits ? &inputs[0] : nullptr;
}

// The mean magnitude of the finite operands.
long double typical_magnitude(const std::vector<RefArray>& inputs) {
  long double total = 0, count = 0;
  for (const RefArray& a : inputs) {
    for (long double v : a.values) {
      if (!is_floating(a.dtype) || !std::isfinite(v)) continue;
      total += std::fabs(v);
      count += 1;
    }
  }
  constexpr long double least = 0x1p-20L;  // results of tiny operands can have any magnitude
  return count > 0 ? std::max(total / count, least) : 1;
}

// Whether all exact results are whole, infinite or NaN. Then no step of the definition rounds.
bool all_whole(const RefArray& exact) {
  return std::all_of(exact.values.begin(), exact.values.end(),
                     [](long double v) { return v == std::trunc(v) || std::isnan(v); });
}

void join(Verdict& worst, const Verdict& v, std::size_t output) {
  worst.discriminates = worst.discriminates && v.discriminates;
  worst.by_budget = worst.by_budget || v.by_budget;
  if (v.errors.elements > 0 && (worst.errors.elements == 0 || v.worst_ulp > worst.worst_ulp)) worst.errors = v.errors;
  worst.worst = std::max(worst.worst, v.worst);
  worst.worst_ulp = std::max(worst.worst_ulp, v.worst_ulp);
  if (v.ok || !worst.ok) return;
  worst.ok = false;
  worst.text = "output " + std::to_string(output) + ": " + v.text;
}

// The accuracy that the kernel of a call claims, as a bound; nullopt if it claims nothing for such an op.
std::optional<Bound> claimed_bound(const OpDef& op, const std::vector<KernelUse>& used) {
  if (used.size() != 1) return std::nullopt;  // a decomposition, which has no claims
  const KernelClaims& claims = used[0].claims;
  Bound bound;
  char text[80];
  if (op.pointwise() && claims.max_ulp > 0) {
    bound.ulp = claims.max_ulp;
    std::snprintf(text, sizeof text, "%g units in the last place", static_cast<double>(claims.max_ulp));
  } else if (op.error_class == ErrorClass::sum && claims.gamma_factor > 0) {
    bound.roundings = claims.gamma_factor;
    std::snprintf(text, sizeof text, "%g times gamma(n)", static_cast<double>(claims.gamma_factor));
  } else {
    return std::nullopt;
  }
  bound.text = text;
  return bound;
}

// Describes an input that changed although the call may not write to it; empty if there is none.
std::string changed_input(const TestCase& t, const std::vector<RefArray>& inputs, const CaseOperands& operands) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const InputDef& def = t.op->inputs[std::min(i, t.op->inputs.size() - 1)];
    if (!operands.is_tensor(i) || def.mutable_) continue;
    const RefArray now = to_array(operands.tensor(i));
    for (std::size_t k = 0; k < now.values.size(); ++k) {
      const long double a = now.values[k], b = inputs[i].values[k];
      if (a == b || (std::isnan(a) && std::isnan(b))) continue;
      char text[160];
      std::snprintf(text, sizeof text, "the call changed its input %zu: element %zu is %.10Lg, it was %.10Lg", i, k, a,
                    b);
      return text;
    }
  }
  return "";
}

}  // namespace

OracleJudge::OracleJudge(const TestCase& t, const std::vector<RefArray>& inputs, const Setting& setting)
    : case_(t),
      inputs_(inputs),
      bounds_(setting.bounds),
      exact_(Oracle(*t.op, t.call).forward(inputs)),
      typical_(typical_magnitude(inputs)) {}

Measure OracleJudge::measure_of(std::size_t output) const {
  const TestCase& t = case_;
  const RefArray& exact = exact_[output];
  // Small integers are exact in every format that fast mode may use.
  const bool as_strict = t.mode == MathMode::fast &&
                         (t.values == Values::exact || t.values == Values::infinite || t.values == Values::counted);
  Measure measure{bounds_.find(t.op->error_class, exact.dtype, as_strict ? MathMode::strict : t.mode),
                  argument_for(inputs_, exact), false, typical_};
  measure.exact_sums = t.op->error_class == ErrorClass::sum && are_exact(t.values) && all_whole(exact);
  return measure;
}

Verdict OracleJudge::judge(std::size_t output, const RefArray& result) const {
  return conformance::judge(result, exact_[output], measure_of(output));
}

Verdict OracleJudge::judge_claim(std::size_t output, const RefArray& result, const Bound& claimed) const {
  Measure measure = measure_of(output);
  measure.bound = claimed;
  measure.exact_sums = false;
  return conformance::judge(result, exact_[output], measure);
}

Verdict compare_with_oracle(const TestCase& t, const std::vector<RefArray>& inputs, const std::vector<Tensor>& results,
                            const std::optional<Bound>& claimed, const Setting& setting) {
  const OracleJudge oracle(t, inputs, setting);
  Verdict worst;
  for (std::size_t o = 0; o < results.size(); ++o) {
    const RefArray result = to_array(results[o]);
    join(worst, oracle.judge(o, result), o);
    if (!claimed) continue;
    const Verdict kept = oracle.judge_claim(o, result, *claimed);
    if (!kept.ok) return failure("the kernel claims an error of at most " + claimed->text + ": " + kept.text);
  }
  return worst;
}

std::vector<Tensor> call_with(const TestCase& t, const CaseOperands& operands) {
  return invoke(*t.op, operands.operands(), attrs_of(*t.op, t.call), t.call.scalars);
}

std::vector<Tensor> call_on(const TestCase& t, const std::vector<RefArray>& inputs, Device device) {
  DeviceScope scope(device);
  const CaseOperands operands(*t.op, t.call, inputs, device, t.layout);
  return call_with(t, operands);
}

std::vector<Tensor> read_back(const std::vector<Tensor>& results, const Setting& setting) {
  std::vector<Tensor> copies;
  for (const Tensor& result : results) copies.push_back(result.to(setting.trusted));
  return copies;
}

std::optional<std::size_t> first_unlike(const std::byte* a, const std::byte* b, std::size_t n, DType dtype) {
  // Empty tensors may have no address, which memcmp does not take.
  if (n == 0 || std::memcmp(a, b, n) == 0) return std::nullopt;
  const std::size_t size = size_of(dtype);
  for (std::size_t at = 0; at < n; at += size) {
    if (std::memcmp(a + at, b + at, size) == 0) continue;
    if (!(std::isnan(element_value(a + at, dtype)) && std::isnan(element_value(b + at, dtype)))) return at;
  }
  return std::nullopt;
}

std::string first_difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  if (a.size() != b.size()) return std::to_string(a.size()) + " outputs and " + std::to_string(b.size());
  for (std::size_t o = 0; o < a.size(); ++o) {
    if (!(a[o].shape() == b[o].shape()) || a[o].dtype() != b[o].dtype()) {
      return "output " + std::to_string(o) + ": shapes " + a[o].shape().to_string() + " and " +
             b[o].shape().to_string();
    }
    const std::vector<std::byte> x = a[o].to_bytes(), y = b[o].to_bytes();
    const DType dtype = a[o].dtype();
    const auto at = first_unlike(x.data(), y.data(), x.size(), dtype);
    if (!at) continue;
    const std::byte *p = x.data() + *at, *q = y.data() + *at;
    char text[160];
    std::snprintf(text, sizeof text, "output %zu, element %zu: %.10Lg (%s) and %.10Lg (%s)", o, *at / size_of(dtype),
                  element_value(p, dtype), element_bits(p, dtype).c_str(), element_value(q, dtype),
                  element_bits(q, dtype).c_str());
    return text;
  }
  return "";
}

std::optional<Verdict> verdict_of_trusted(const TestCase& t, const Setting& setting, const std::vector<Tensor>& results,
                                          const std::function<std::vector<Tensor>()>& on_trusted) {
  if (t.mode != MathMode::lockstep || setting.device == setting.trusted) return std::nullopt;
  std::vector<Tensor> trusted;
  try {
    trusted = on_trusted();
  } catch (const UnsupportedError&) {
    return std::nullopt;
  }
  const std::string other = first_difference(results, trusted);
  Verdict verdict =
      other.empty() ? Verdict() : failure("the bits are not those of " + setting.trusted.name() + ": " + other);
  verdict.by_bits = true;
  return verdict;
}

Verdict check_forward(const TestCase& t, const Setting& setting) {
  const std::vector<RefArray> inputs = case_inputs(t);
  const DeviceScope scope(setting.device);
  const CaseOperands operands(*t.op, t.call, inputs, setting.device, t.layout);
  const KernelLog log;
  const std::vector<Tensor> live = call_with(t, operands);
  const std::vector<Tensor> results = read_back(live, setting);
  const std::optional<Bound> claimed = claimed_bound(*t.op, log.used());
  const std::optional<Verdict> trusted =
      verdict_of_trusted(t, setting, results, [&] { return call_on(t, inputs, setting.trusted); });
  if (trusted && !trusted->ok) return *trusted;
  Verdict verdict = trusted && !claimed ? *trusted : compare_with_oracle(t, inputs, results, claimed, setting);
  if (!verdict.ok) return verdict;
  if (std::string text = changed_input(t, inputs, operands); !text.empty()) return failure(std::move(text));
  const std::string changed = first_difference(results, call_on(t, inputs, setting.device));
  if (!changed.empty()) return failure("run twice, it gives other bits: " + changed);
  const std::string overwritten = first_difference(results, live);
  if (!overwritten.empty()) return failure("a second call changed the results of the first: " + overwritten);
  return verdict;
}

Verdict check_values(const OpDef& op, const OpCase& c, const std::vector<RefArray>& inputs, Layout layout,
                     const Setting& setting) {
  const TestCase t{"forward", &op, c, false, MathMode::strict, layout, Values::drawn, 0};
  const MathModeScope mode(t.mode);
  const std::vector<RefArray> exact = Oracle(op, c).forward(inputs);
  const std::vector<Tensor> results = call_on(t, inputs, setting.device);
  Verdict worst;
  for (std::size_t o = 0; o < results.size(); ++o) {
    const Bound& bound = setting.bounds.find(op.error_class, exact[o].dtype, t.mode);
    join(worst,
         judge(to_array(results[o]), exact[o],
               {bound, argument_for(inputs, exact[o]), false, typical_magnitude(inputs)}),
         o);
  }
  return worst;
}

Verdict check_pair(const TestCase& t, const Setting& setting) {
  const TestCase first = *first_of_pair(t);
  setting.device.state().kernels().clear();
  const auto check_first = [&]() -> Verdict {
    try {
      const MathModeScope mode(first.mode);
      return check_forward(first, setting);
    } catch (const UnsupportedError&) {
      return {};
    }
  };
  if (Verdict v = check_first(); !v.ok) return failure("the call before it: " + v.text);
  Verdict verdict = check_forward(t, setting);
  if (!verdict.ok) return failure("after a call that differs in \"" + t.after + "\": " + verdict.text);
  if (Verdict v = check_first(); !v.ok) return failure("the call before it, made again: " + v.text);
  return verdict;
}

Verdict check_refusal(const TestCase& t, const Setting& setting) {
  const std::vector<RefArray> inputs = case_inputs(t);
  try {
    // An asynchronous device reports the error when the result is read.
    to_array(call_on(t, inputs, setting.device)[0]);
  } catch (const Error& e) {
    if (e.id() == *t.call.error) return {};
    if (e.id() == ErrorId::no_kernel) throw;  // the driver may have no kernel
    return failure("refused with another error: " + std::string(e.what()));
  }
  return failure("a wrong call is not refused");
}

}  // namespace lockstep::conformance
