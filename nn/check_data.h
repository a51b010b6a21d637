// Checks a data set before a model is trained or evaluated on it.
#pragma once

#include <source_location>

#include "nn/model_state.h"

namespace lockstep::nn {

/// `what` names the data set in the error for an empty one. Errors report `op` and its caller.
void check_data(const Model::State& state, const data::Dataset& data, const char* what, const char* op,
                const std::source_location& where);

}  // namespace lockstep::nn
