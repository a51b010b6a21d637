#include "conformance/checks/numbers.h"

#include <algorithm>
#include <cstdio>

#include "conformance/cases/number_cases.h"
#include "conformance/checks/forward.h"

namespace lockstep::conformance {
namespace {

std::string text_of(const Scalar& number) {
  if (number.kind == Scalar::Kind::logical) return number.integer ? "true" : "false";
  if (number.kind == Scalar::Kind::integer) return std::to_string(number.integer);
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", number.floating);
  return text;
}

// The inputs of a call, such as "2.5, -, true"; "-" is a tensor.
std::string operands_text(const OpCase& call) {
  std::string text;
  for (const CaseInput& in : call.inputs) {
    if (!text.empty()) text += ", ";
    text += in.scalar ? text_of(*in.scalar) : "-";
  }
  return text;
}

// Omits the error statistics, because the results of a case have several dtypes.
void join(Verdict& all, const Verdict& one) {
  all.discriminates = all.discriminates || one.discriminates;
  all.by_budget = all.by_budget || one.by_budget;
  all.by_bits = all.by_bits || one.by_bits;
  all.worst = std::max(all.worst, one.worst);
  all.worst_ulp = std::max(all.worst_ulp, one.worst_ulp);
}

}  // namespace

Verdict check_numbers(const TestCase& t, const Setting& setting) {
  Verdict all;
  all.discriminates = false;
  std::string before;
  for (OpCase& call : calls_with_numbers(t)) {
    TestCase one = t;
    one.call = std::move(call);
    Verdict verdict = check_forward(one, setting);
    const std::string text = operands_text(one.call);
    if (!verdict.ok) {
      verdict.text = "with (" + text + ")" + (before.empty() ? "" : " after (" + before + ")") + ": " + verdict.text;
      return verdict;
    }
    join(all, verdict);
    before = text;
  }
  return all;
}

}  // namespace lockstep::conformance
