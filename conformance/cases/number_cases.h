// Plain numbers in place of tensors: in every operand position that takes one, alone and together, of every kind.
#pragma once

#include "conformance/cases/generate.h"

namespace lockstep::conformance {

/// One case per position and dtype, and one per set of positions that stand together.
std::vector<TestCase> number_cases(const OpDef& op, MathMode mode, const Amount& amount);

/// The positions that `t.numbers` names, such as "0" or "0.2"; nullopt where the op's call has no such operands.
std::optional<std::vector<std::size_t>> number_positions(const TestCase& t);

/// The calls of a case, to be made one after the other: with numbers of different kinds, and the first kind once more,
/// so that what was made for one kind is asked for another. Without the calls that the op refuses.
std::vector<OpCase> calls_with_numbers(const TestCase& t);

}  // namespace lockstep::conformance
