// Results of a case against the oracle.
#pragma once

#include "conformance/case_data.h"
#include "conformance/checks/run_case.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// The device's results within the bounds of the op's class; twice the same bits; in lockstep mode the trusted device's
/// bits. Throws what the call throws.
Verdict check_forward(const TestCase& t, const Setting& setting);

/// The results of a call with these inputs in strict mode, by the oracle.
Verdict check_values(const OpDef& op, const OpCase& c, const std::vector<RefArray>& inputs, Layout layout,
                     const Setting& setting);

/// Two calls that differ in one property, on a device that has prepared no kernel before them, and the first once more:
/// kernels that were made for the one are asked for the other.
Verdict check_pair(const TestCase& t, const Setting& setting);

/// That the call is refused with exactly the error that the case names.
Verdict check_refusal(const TestCase& t, const Setting& setting);

/// A verdict that says no.
Verdict failure(std::string text);

/// Where the results of a call differ in their bits, NaN being one value; empty where they agree.
std::string first_difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b);

/// The case's call on a device.
std::vector<Tensor> call_on(const TestCase& t, const std::vector<RefArray>& inputs, Device device);

}  // namespace lockstep::conformance
