// The arguments of ops as users see them: what registration derives from attributes and numbers.
#pragma once

#include "lockstep/op_def.h"

namespace lockstep {

/// On registration: an op that does not state its `arguments` has those of its attributes, and then of its numbers.
void complete_arguments(OpDef& op);

}  // namespace lockstep
