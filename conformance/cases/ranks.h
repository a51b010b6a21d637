// Makes cases of an op with more dimensions than its own cases have.
#pragma once

#include <optional>

#include "lockstep/op_def.h"

namespace lockstep::conformance {

/// The case with more dimensions, named like "f32.small^5", such that its largest input has `rank` dimensions. The new
/// dimensions have extent 2. They follow the others if the op has axes as attributes, else they precede them. With
/// `in_front` they precede them although the op has axes, which move with their dimensions; the name is then like
/// "f32.rows^5.front". nullopt if the op does not accept that.
std::optional<OpCase> with_rank(const OpDef& op, const OpCase& c, int rank, bool in_front = false);

}  // namespace lockstep::conformance
