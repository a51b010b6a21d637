// Losses: a number for how far predictions are from targets, the mean over the batch. Shapes must agree; nothing
// broadcasts.
#pragma once

#include <functional>
#include <string>

#include "lockstep/export.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {
namespace losses {

/// Mean of -log p(label). logits (N, C) (or (…, C)), labels (N) of any integer dtype in [0, C).
Tensor sparse_categorical_crossentropy(Operand logits, Operand labels);
/// Mean of -sum(targets log p); targets are probabilities of the logits' shape.
Tensor categorical_crossentropy(Operand logits, Operand targets);
/// Mean of -(target log p + (1 - target) log(1 - p)) with p = sigmoid(logit), computed so that no digits are lost where
/// p is near 0 or 1. Targets are probabilities, or 0 and 1 of any dtype, of the logits' shape; logits (N, 1) take
/// targets (N) too.
Tensor binary_crossentropy(Operand logits, Operand targets);
/// Mean of (prediction - target)^2.
Tensor mean_squared_error(Operand predictions, Operand targets);

/// A loss as a model takes it.
struct Loss {
  std::string name;
  std::function<Tensor(const Tensor& predictions, const Tensor& targets)> compute;
  bool sparse_labels = false;  // targets are class numbers, which fit() checks against the classes
  bool binary_labels = false;  // targets lie in [0, 1], which fit() checks
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
