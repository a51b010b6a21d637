// What a recorded call should have given, and how far rounding may take a device from it.
#pragma once

#include <vector>

#include "lockstep/op_def.h"
#include "nn/compare/recorder.h"

namespace lockstep {

struct Expectation {
  std::vector<RefArray> exact;                    // per output
  std::vector<std::vector<long double>> allowed;  // per output and element
};

/// From OpDef::reference and its error budget. For sums the budget's worst case, n roundings of the terms' magnitudes,
/// is scaled by 3/√n for n terms: errors of rounding partly cancel, and what goes beyond it has another cause, such as
/// operands of fewer bits (Higham and Mary, "A new approach to probabilistic rounding error analysis", SIAM J. Sci.
/// Comput. 41, 2019). In fast mode products may be of operands rounded to bf16.
Expectation expectation_of(const RecordedCall& call, MathMode mode);

}  // namespace lockstep
