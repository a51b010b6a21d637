// Weights within a file, alone or beside an optimizer.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "nn/metadata.h"

namespace lockstep {

/// The values of the variables by name; throws StateError LS1008 if two have the same name.
std::map<std::string, Tensor> values_by_name(std::span<const Variable> variables);

/// Values from a file for all variables. They are checked and on the variables' devices, but not assigned yet.
class LoadedWeights {
 public:
  /// Throws IoError LS8006 if names, shapes or dtypes do not match.
  LoadedWeights(const LoadedFile& loaded, std::span<const Variable> variables);
  /// Assigns all; cannot fail.
  void assign();

 private:
  std::vector<Variable> variables_;
  std::vector<Tensor> values_;
};

}  // namespace lockstep
