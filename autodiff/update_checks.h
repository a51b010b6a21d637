// What an optimizer refuses before it changes anything: variables that are not floating, and numbers that the dtype of
// the update does not hold.
#pragma once

#include <span>

#include "lockstep/op_def.h"
#include "lockstep/variable.h"

namespace lockstep::optim {

/// Throws DTypeError LS2102 for a variable of another dtype, which would round the learning rate to a whole number.
void check_floating(const Variable& variable, const char* op, CallSite where);

/// `numbers` are those of the op `update`, in its order. Throws ShapeError LS2007 if one is infinite in the dtype in
/// which a variable's update is computed, or if epsilon is above 0 and 0 in that dtype. Infinity times 0, and 0 / 0,
/// would make NaN of weights whose gradient is 0.
void check_numbers(const OpDef& update, std::span<const Scalar> numbers, std::span<const Variable> variables,
                   CallSite where);

}  // namespace lockstep::optim
