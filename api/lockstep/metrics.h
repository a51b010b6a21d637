// Metrics: reported numbers. A metric computes a sum per batch; the total is divided by the number of examples.
#pragma once

#include <functional>
#include <string>

#include "lockstep/export.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {
namespace metrics {

struct Metric {
  std::string name;
  /// Sum over the batch, f32 of rank 0.
  std::function<Tensor(const Tensor& predictions, const Tensor& targets)> sum;
};

/// Fraction of rows whose largest prediction is at the label. Predictions (N, …, C) for two or more classes; labels are
/// class numbers (N, …), or (N, …, C) with the largest value at the label, both of any dtype. A row with a NaN
/// prediction counts as wrong. Examples without rows count 0. Throws ShapeError LS2010 for one output per row: that
/// needs BinaryAccuracy.
struct Accuracy {
  operator Metric() const;  // NOLINT: implicit by design
};

/// Fraction of outputs that are on the same side of the threshold as the label. Labels are 0 or 1 of any dtype, or
/// probabilities, with the predictions' shape; predictions (N, 1) also accept labels (N). A NaN prediction or label
/// counts as wrong. Examples without outputs count 0.
struct BinaryAccuracy {
  bool from_logits = true;  // false: predictions are probabilities, as after a sigmoid
  double threshold = 0.5;   // on the probability; in (0, 1)
  operator Metric() const;  // NOLINT: implicit by design
};

}  // namespace metrics
}  // namespace lockstep
