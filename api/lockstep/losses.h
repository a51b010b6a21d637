// Losses: a number that measures how far predictions are from targets, averaged over the batch. Shapes must agree;
// nothing broadcasts.
#pragma once

#include <functional>
#include <string>

#include "lockstep/export.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {
namespace losses {

/// Mean of -log p(label). logits (N, C) (or (…, C)), labels (N) of any integer dtype in [0, C).
Tensor sparse_categorical_crossentropy(Operand logits, Operand labels);
/// Mean of -sum(targets log p); targets are probabilities with the logits' shape.
Tensor categorical_crossentropy(Operand logits, Operand targets);
/// Mean of -(target log p + (1 - target) log(1 - p)) with p = sigmoid(logit), computed without loss of precision if p
/// is near 0 or 1. Targets have the logits' shape and are probabilities in the logits' dtype, or 0 and 1 in bool or any
/// integer dtype; logits (N, 1) also accept targets (N). Throws DTypeError LS2101 for targets in another floating
/// dtype.
Tensor binary_crossentropy(Operand logits, Operand targets);
/// Mean of (prediction - target)^2.
Tensor mean_squared_error(Operand predictions, Operand targets);

/// A loss for Model::compile().
struct Loss {
  std::string name;
  std::function<Tensor(const Tensor& predictions, const Tensor& targets)> compute;
  bool sparse_labels = false;  // targets are class numbers; fit() checks that they are in [0, classes)
  bool binary_labels = false;  // targets are in [0, 1]; fit() checks this
};

struct SparseCategoricalCrossentropy {
  bool from_logits = true;  // false: predictions are probabilities
  operator Loss() const;    // NOLINT: implicit by design
};
struct CategoricalCrossentropy {
  bool from_logits = true;
  operator Loss() const;  // NOLINT: implicit by design
};
struct BinaryCrossentropy {
  bool from_logits = true;  // false: predictions are probabilities, as after a sigmoid
  operator Loss() const;    // NOLINT: implicit by design
};
struct MeanSquaredError {
  operator Loss() const;  // NOLINT: implicit by design
};

}  // namespace losses
}  // namespace lockstep
