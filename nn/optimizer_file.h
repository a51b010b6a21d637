// The state of an optimizer within a file, alone or beside weights.
#pragma once

#include <span>
#include <string_view>

#include "nn/metadata.h"

namespace lockstep {

/// The names of an optimizer's tensors in a file begin with this.
inline constexpr std::string_view optimizer_prefix = "@optimizer/";

/// Adds the state to what a file will hold.
void add_optimizer(TensorFile& file, const optim::Optimizer& optimizer, CallSite where);

/// Sets the optimizer's state to that in the file. See load_optimizer().
void restore_optimizer(const LoadedFile& loaded, optim::Optimizer& optimizer, std::span<const Variable> variables);

}  // namespace lockstep
