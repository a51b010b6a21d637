// Metrics: numbers for people. A metric gives, per batch, a sum that is divided by the number of examples at the end.
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

/// Share of rows whose largest prediction is at the label. Predictions (N, …, C) of two classes or more; labels are
/// class numbers (N, …), or (N, …, C) with the largest at the label. One output per row is refused (ShapeError LS2010):
/// it has no largest, and needs BinaryAccuracy.
struct Accuracy {
  operator Metric() const;  // NOLINT: implicit by design
};

/// Share of outputs on the right side of the threshold. Labels are 0 or 1 of any dtype, or probabilities, of the
/// predictions' shape; predictions (N, 1) take labels (N) too. A prediction that is NaN is wrong.
struct BinaryAccuracy {
  bool from_logits = true;  // false: predictions are probabilities, as after a sigmoid
  double threshold = 0.5;   // on the probability; in (0, 1)
  operator Metric() const;  // NOLINT: implicit by design
};

}  // namespace metrics
}  // namespace lockstep
