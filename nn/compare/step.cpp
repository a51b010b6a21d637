#include "nn/compare/step.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "nn/compare/match.h"
#include "nn/compare/replay.h"
#include "ops/call_error.h"
#include "runtime/caller.h"
#include "runtime/element.h"

namespace lockstep {
namespace {

bool same_line(CallSite a, CallSite b) {
  const SourcePlace first = a.resolve(), second = b.resolve();
  return first.line == second.line && first.file == second.file;
}

// Returns the source line of the program, or else of the layer. The line that asked for the comparison is useless here.
std::string place_in_program(const RecordedCall& call, CallSite asked) {
  if (!same_line(call.user, asked)) return short_location(call.user);
  return same_line(call.where, asked) ? "" : short_location(call.where);
}

// Returns, for example, "x  f32 (32, 10)  output of relu".
std::string input_text(const RecordedCall& call, std::size_t i) {
  const Operand& operand = call.operands[i];
  std::string text = input_def(*call.op, i).name + "  ";
  if (operand.is_absent()) return text + "not given";
  if (!call.inputs[i]) {
    char number[32];
    std::snprintf(number, sizeof number, "%.9g", operand.scalar().as_double());
    return text + number;
  }
  const TensorImpl& t = *call.inputs[i];
  text += std::string(name_of(t.dtype)) + " " + t.shape.to_string();
  if (t.variable) return text + "  variable \"" + t.variable->name + "\"";
  return t.producer ? text + "  output of " + t.producer : text;
}

std::string difference_text(const Difference& d) {
  if (d.differing == 0) return ", the same bits";
  char text[96];
  std::snprintf(text, sizeof text, ", %lld of %lld differ, by up to %.3g ulp", static_cast<long long>(d.differing),
                static_cast<long long>(d.elements), d.ulp);
  return text;
}

}  // namespace

const Difference& StepComparison::difference(const TensorRef& a, const TensorRef& b) {
  const auto [found, fresh] = known_.try_emplace({a.get(), b.get()});
  if (fresh) found->second = difference_of(a->dtype, host_bytes(*a), host_bytes(*b));
  return found->second;
}

DivergingCall StepComparison::describe_call(const Place& place, std::size_t output, const Difference& d) {
  const RecordedCall& call = *first_[place.first];
  DivergingCall found;
  found.step = place.step;
  found.call = static_cast<std::int64_t>(place.first);
  found.op = call.op->name;
  found.part = call.part;
  found.scope = call.scope ? call.scope->path() : "";
  found.where = place_in_program(call, where_);
  for (std::size_t i = 0; i < call.operands.size(); ++i) {
    found.inputs.push_back(input_text(call, i));
    if (call.inputs[i])
      found.inputs.back() += difference_text(difference(call.inputs[i], second_[place.second]->inputs[i]));
  }
  found.output = output_name(*call.op, output);
  found.dtype = call.outputs[output]->dtype;
  found.shape = call.outputs[output]->shape;
  found.elements = d.elements;
  found.differing = d.differing;
  return found;
}

void StepComparison::compare_runs(Comparison& result, const Place& place) {
  const RecordedCall &a = *first_[place.first], &b = *second_[place.second];
  double inputs = 0, outputs = 0;
  std::size_t worst = 0;
  bool identical = true;
  for (std::size_t i = 0; i < a.inputs.size(); ++i) {
    if (a.inputs[i] && b.inputs[i]) inputs = std::max(inputs, difference(a.inputs[i], b.inputs[i]).relative);
  }
  for (std::size_t o = 0; o < a.outputs.size(); ++o) {
    const Difference& d = difference(a.outputs[o], b.outputs[o]);
    result.elements += d.elements;
    identical = identical && d.differing == 0;
    if (!(d.relative > outputs)) continue;
    outputs = d.relative;
    worst = o;
  }
  ++result.calls;
  result.identical += identical;
  if (identical) return;
  const Difference& d = difference(a.outputs[worst], b.outputs[worst]);
  const auto described = [&] {
    DivergingCall call = describe_call(place, worst, d);
    call.worst = element_at(*a.outputs[worst], host_bytes(*a.outputs[worst]), host_bytes(*b.outputs[worst]), d.worst);
    return call;
  };
  if (!result.first_difference) result.first_difference = described();
  const double growth = outputs / std::max(inputs, static_cast<double>(unit_roundoff(a.outputs[worst]->dtype)));
  if (!is_floating(a.outputs[worst]->dtype) || !(growth > result.steepest_growth)) return;
  result.steepest_growth = growth;
  result.steepest = described();
}

// True if any difference in bits is a divergence.
bool StepComparison::demands_bits() const { return options_.mode == MathMode::lockstep && !options_.tolerance_ulp; }

// How far two results with different bits exceed the allowed difference, as a ratio: above 1 they diverge.
long double StepComparison::excess_of(long double x, long double y, DType dtype, const Expectation* expected,
                                      std::size_t output, std::size_t at) const {
  if (demands_bits()) return INFINITY;
  if (x == y) return 0;  // zeros of different sign
  if (options_.tolerance_ulp || !is_floating(dtype)) {
    const double ulp = ulp_between(x, y, dtype), allowed = options_.tolerance_ulp.value_or(0);
    return allowed > 0 && is_floating(dtype) ? static_cast<long double>(ulp) / allowed : INFINITY;
  }
  const long double exact = expected->exact[output].values[at], allowed = expected->allowed[output][at];
  const long double of_first = std::fabs(x - exact), of_second = std::fabs(y - exact);
  if (!std::isfinite(of_first) || !std::isfinite(of_second)) return INFINITY;
  const long double error = std::max(of_first, of_second);
  return allowed > 0 ? error / allowed : INFINITY;
}

// Returns the element of an output that exceeds the allowed difference most, or nullopt if none does.
std::optional<std::size_t> StepComparison::worst_element(DType dtype, const std::vector<std::byte>& a,
                                                         const std::vector<std::byte>& b, const Expectation* expected,
                                                         std::size_t output) const {
  const std::size_t size = size_of(dtype);
  std::optional<std::size_t> worst;
  long double most = 1, max_ulp = -1;
  for (std::size_t i = 0; i * size < a.size(); ++i) {
    const std::byte *p = a.data() + i * size, *q = b.data() + i * size;
    if (std::memcmp(p, q, size) == 0) continue;
    const long double x = element_value(p, dtype), y = element_value(q, dtype);
    const long double excess = excess_of(x, y, dtype, expected, output, i), ulp = ulp_between(x, y, dtype);
    if (!(excess > 1) || excess < most || (excess == most && ulp <= max_ulp)) continue;
    most = excess;
    max_ulp = ulp;
    worst = i;
  }
  return worst;
}

// Repeats the call on the other device with the first device's inputs. A difference that remains is caused by the op
// itself.
void StepComparison::find_culprit(Comparison& result, const Place& place) {
  const RecordedCall& call = *first_[place.first];
  if (call.op->host) return;  // executed by the runtime, such as copies between devices
  const std::vector<TensorRef> again = replay(call, device_);
  std::optional<Expectation> expected;
  for (std::size_t o = 0; o < again.size(); ++o) {
    const TensorImpl& original = *call.outputs[o];
    const std::vector<std::byte> a = host_bytes(original), b = host_bytes(*again[o]);
    const Difference d = difference_of(original.dtype, a, b);
    if (d.differing == 0) continue;
    // The oracle is slow, so it runs only if it decides about divergence or its value is shown.
    if (!expected && (!demands_bits() || result.culprits.empty())) expected = expectation_of(call, options_.mode);
    const std::optional<std::size_t> worst = worst_element(original.dtype, a, b, expected ? &*expected : nullptr, o);
    if (!worst) continue;
    DivergingCall found = describe_call(place, o, d);
    found.worst = element_at(original, a, b, *worst);
    if (expected) found.worst.exact = static_cast<double>(expected->exact[o].values[*worst]);
    if (expected && !demands_bits() && !options_.tolerance_ulp)
      found.worst.allowed = static_cast<double>(expected->allowed[o][*worst]);
    result.culprits.push_back(std::move(found));
    return;
  }
}

void StepComparison::add_to(Comparison& result, std::int64_t step) {
  const auto pairs = match_calls(first_, second_);
  result.unmatched += static_cast<std::int64_t>(first_.size() + second_.size() - 2 * pairs.size());
  for (const auto& [a, b] : pairs) {
    compare_runs(result, {step, a, b});
    find_culprit(result, {step, a, b});
  }
}

}  // namespace lockstep
