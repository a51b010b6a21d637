#include "conformance/checks/run_case.h"

#include <chrono>

#include "conformance/cases/extents.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/checks/forward.h"
#include "conformance/checks/gradient.h"
#include "conformance/checks/kernel_log.h"
#include "conformance/checks/large_calls.h"
#include "conformance/checks/numbers.h"
#include "conformance/checks/special_gradient.h"
#include "lockstep/error.h"
#include "runtime/device_state.h"

namespace lockstep::conformance {
namespace {

Verdict check(const TestCase& t, const Setting& setting) {
  if (t.suite == "refusal") {
    return t.values == Values::bad_index ? check_bad_index(t, setting) : check_refusal(t, setting);
  }
  if (t.suite == "beside") return check_large_calls(t, setting);
  if (t.suite == "numbers") return check_numbers(t, setting);
  if (t.suite == "pair") return check_pair(t, setting);
  if (t.suite == "repeat") return check_repeat(t, setting);
  if (t.suite == "rows") return check_rows(t, setting);
  if (t.suite == "sizes") return check_sizes(t, setting);
  if (t.suite == "gradient") return check_gradient(t, setting);
  if (t.suite == "second_gradient") return check_second_gradient(t, setting);
  if (t.suite == "special_gradient") return check_special_gradient(t, setting);
  return check_forward(t, setting);
}

void note_verdict(CaseResult& result, Verdict verdict) {
  result.outcome = !verdict.ok ? Outcome::fail : verdict.discriminates ? Outcome::pass : Outcome::mistrusted;
  result.text = std::move(verdict.text);
  if (result.outcome == Outcome::mistrusted) result.text = "every element of the result would pass if it were another";
  result.errors = std::move(verdict.errors);
  result.errors.share = verdict.worst;
}

// The dtype of the first result. Random numbers that are made from bits have the bound of the numbers, not that of the
// bits.
DType result_dtype(const TestCase& t) {
  const auto outputs = infer_outputs(*t.op, t.call);
  return outputs && !outputs->empty() ? outputs->front().dtype : t.dtype();
}

}  // namespace

CaseResult run_case(const TestCase& t, const Setting& setting) {
  CaseResult result;
  result.id = t.id();
  result.suite = t.suite;
  result.op = t.op->name;
  result.dtype = name_of(t.dtype());
  result.mode = name_of(t.mode);
  const auto start = std::chrono::steady_clock::now();
  try {
    const MathModeScope mode(t.mode);
    const DType dtype = result_dtype(t);
    const Bound& bound = setting.bounds.find(t.op->error_class, dtype, t.mode);
    result.bound = bound.text;
    auto& decompositions = setting.device.state().counters.decompositions;
    const std::uint64_t before = decompositions.load();
    KernelLog log;
    Verdict verdict = check(t, setting);
    if (verdict.by_budget) result.bound = bound.budget_text;
    if (is_half_width(dtype)) result.bound += " of f32, rounded once";
    if (verdict.by_bits) result.bound = "the bits of the trusted device";
    note_verdict(result, std::move(verdict));
    // If terms cancel or values are tiny, ULPs of the small result are meaningless.
    if (t.values == Values::cancelling || t.values == Values::tiny) result.errors.elements = 0;
    result.native = decompositions.load() == before;
    result.variants = log.variants();
  } catch (const UnsupportedError& e) {
    result.outcome = Outcome::unsupported;
    result.text = e.headline();
  } catch (const std::exception& e) {
    result.outcome = Outcome::fail;
    result.text = e.what();
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace lockstep::conformance
