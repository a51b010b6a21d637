// Metrics: numbers for people. A metric gives, per batch, a sum that is divided by the number of examples at the end.
#pragma once

#include <functional>
#include <string>

#include "lockstep/tensor.h"

namespace lockstep::metrics {

struct Metric {
  std::string name;
  /// Sum over the batch, f32 of rank 0.
  std::function<Tensor(const Tensor& predictions, const Tensor& targets)> sum;
};

/// Share of rows whose largest prediction is at the label.
struct Accuracy {
  operator Metric() const;  // NOLINT: implicit by design
};

}  // namespace lockstep::metrics
