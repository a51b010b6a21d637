// The exact result of a recorded call, and the round-off error that a device may have.
#pragma once

#include <vector>

#include "lockstep/op_def.h"
#include "nn/compare/recorder.h"

namespace lockstep {

struct Expectation {
  std::vector<RefArray> exact;                    // per output
  std::vector<std::vector<long double>> allowed;  // per output and element
};

/// Computed from OpDef::reference and its error budget. For sums, the budget is the worst case of n roundings of the
/// terms' magnitudes. It is scaled by 3/√n for n terms because rounding errors partly cancel; a larger error has
/// another cause, such as operands of fewer bits (Higham and Mary, "A new approach to probabilistic rounding error
/// analysis", SIAM J. Sci. Comput. 41, 2019). In fast mode the operands of products may be rounded to bf16.
Expectation expectation_of(const RecordedCall& call, MathMode mode);

}  // namespace lockstep
