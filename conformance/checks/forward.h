// Compares the results of a case with the oracle.
#pragma once

#include <functional>
#include <optional>

#include "conformance/case_data.h"
#include "conformance/checks/run_case.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// The device's results must be within the bounds of the op's class and within the kernel's own claims, and have the
/// same bits in two runs. In lockstep mode they must be the trusted device's bits, whose own run compares them with the
/// oracle, and only what the kernel claims is compared with it. The inputs must not change. Throws what the call
/// throws.
Verdict check_forward(const TestCase& t, const Setting& setting);

/// Compares the results of a call with these inputs in strict mode with the oracle.
Verdict check_values(const OpDef& op, const OpCase& c, const std::vector<RefArray>& inputs, Layout layout,
                     const Setting& setting);

/// Makes two calls that differ in one property, on a device on which no kernel is prepared, and then the first call
/// again, so that a kernel prepared for one is requested for the other.
Verdict check_pair(const TestCase& t, const Setting& setting);

/// The call must be refused with exactly the error that the case names.
Verdict check_refusal(const TestCase& t, const Setting& setting);

/// The first element in n bytes that is not the same in both, counted in bytes; nullopt if there is none. All NaN are
/// the same: their bits are not defined.
std::optional<std::size_t> first_unlike(const std::byte* a, const std::byte* b, std::size_t n, DType dtype);

/// The first element whose bits differ; empty if there is none. All NaNs are equal.
std::string first_difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b);

/// What the oracle says about the results of one call, within the bounds of the op's class. The case must outlive it.
class OracleJudge {
 public:
  OracleJudge(const TestCase& t, const std::vector<RefArray>& inputs, const Setting& setting);
  Verdict judge(std::size_t output, const RefArray& result) const;
  /// The same, and within a bound that the kernel claims.
  Verdict judge_claim(std::size_t output, const RefArray& result, const Bound& claimed) const;

 private:
  Measure measure_of(std::size_t output) const;

  const TestCase& case_;
  const std::vector<RefArray> inputs_;
  const Bounds& bounds_;
  const std::vector<RefArray> exact_;
  const long double typical_;  // magnitude of the operands
};

/// Compares all results of a call with the oracle.
Verdict compare_with_oracle(const TestCase& t, const std::vector<RefArray>& inputs, const std::vector<Tensor>& results,
                            const std::optional<Bound>& claimed, const Setting& setting);

/// In lockstep mode, compares results with those of the trusted device, bit by bit; `on_trusted` makes them. Its own
/// run compares them with the oracle. nullopt if the oracle must judge: in the other modes, on the trusted device, and
/// if that does not support the call.
std::optional<Verdict> verdict_of_trusted(const TestCase& t, const Setting& setting, const std::vector<Tensor>& results,
                                          const std::function<std::vector<Tensor>()>& on_trusted);

/// Copies results to the trusted device, so that each comparison does not have to read them from the device again. Keep
/// the results themselves where a later call might overwrite them, and compare once more at the end.
std::vector<Tensor> read_back(const std::vector<Tensor>& results, const Setting& setting);

/// Makes the case's call with operands that were made for it.
std::vector<Tensor> call_with(const TestCase& t, const CaseOperands& operands);

/// Makes the case's call on a device.
std::vector<Tensor> call_on(const TestCase& t, const std::vector<RefArray>& inputs, Device device);

}  // namespace lockstep::conformance
