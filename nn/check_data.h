// Checks a data set before a model is trained or evaluated on it.
#pragma once

#include "lockstep/call_site.h"
#include "nn/model_state.h"

namespace lockstep::nn {

/// `what` names the data set in the error for an empty one. Errors report `op` and its caller.
void check_data(const Model::State& state, const data::Dataset& data, const char* what, const char* op, CallSite where);

}  // namespace lockstep::nn
