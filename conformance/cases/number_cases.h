// Makes cases with plain numbers in place of tensors: in every operand position that takes one, alone and together, and
// of every kind.
#pragma once

#include "conformance/cases/generate.h"

namespace lockstep::conformance {

/// One case per dtype and set of positions that are numbers. If no tensor is among the operands, the dtype is that of
/// the output. Else, if the case's tensors have one element, there is another in which one has more, and for pointwise
/// ops the same with `corners`.
std::vector<TestCase> number_cases(const OpDef& op, MathMode mode, const Amount& amount);

/// The positions that `t.numbers` names, such as "0" or "0.2"; nullopt if the op's call has no such operands.
std::optional<std::vector<std::size_t>> number_positions(const TestCase& t);

/// The calls of a case, to be made one after the other: with numbers of different kinds, the first kind again, so that
/// a kernel prepared for one kind is requested for another, and numbers for which compilers know short cuts. Omits
/// calls that the op refuses.
std::vector<OpCase> calls_with_numbers(const TestCase& t);

}  // namespace lockstep::conformance
