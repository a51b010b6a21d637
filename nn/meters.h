// The sums of loss and metrics that fit() and evaluate() keep.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lockstep/autodiff.h"
#include "lockstep/memory.h"
#include "lockstep/model.h"
#include "lockstep/ops.h"
#include "nn/progress.h"

namespace lockstep::nn {

/// Running sums of loss and metrics. They stay on the device, so only reading them has to wait for it.
class Meters {
 public:
  Meters(const Compile& compile) : compile_(compile) {}

  struct Totals {
    std::optional<Tensor> loss, batch_loss, batch_loss_square;
    std::vector<std::optional<Tensor>> metrics;
    std::int64_t examples = 0, batches = 0;
  };

  /// Returns the sums with one more batch added. They take effect only with set(). So everything that can fail happens
  /// before the weights change.
  Totals with(const Tensor& loss, const Tensor& predictions, const Tensor& labels) const {
    NoGradient pause;
    MemoryOwnerScope owner(MemoryOwner::other);
    const std::int64_t n = predictions.shape()[0];
    Totals next = totals_;
    next.examples += n;
    ++next.batches;
    const Tensor batch_loss = wide(loss);
    accumulate(next.loss, batch_loss * static_cast<double>(n));
    accumulate(next.batch_loss, batch_loss);
    accumulate(next.batch_loss_square, square(batch_loss));
    next.metrics.resize(compile_.metrics.size());
    for (std::size_t i = 0; i < compile_.metrics.size(); ++i) {
      accumulate(next.metrics[i], wide(compile_.metrics[i].sum(predictions, labels)));
    }
    return next;
  }
  void set(Totals totals) { totals_ = std::move(totals); }

  std::vector<Shown> read() const { return read(totals_); }
  std::vector<Shown> read(const Totals& t) const {
    if (!t.loss) return {};
    const auto n = static_cast<double>(t.examples), batches = static_cast<double>(t.batches);
    const double mean = value(t.batch_loss) / batches;
    const double variance = std::max(0.0, value(t.batch_loss_square) / batches - mean * mean);
    std::vector<Shown> shown = {{"loss", value(t.loss) / n, t.batches > 1 ? std::sqrt(variance / batches) : -1}};
    for (std::size_t i = 0; i < t.metrics.size(); ++i)
      shown.push_back({compile_.metrics[i].name, value(t.metrics[i]) / n});
    return shown;
  }

  /// The same as a map.
  std::map<std::string, double> values() const {
    std::map<std::string, double> named;
    for (const Shown& v : read()) named[v.name] = v.value;
    return named;
  }
  /// The loss of one batch, of any floating dtype.
  static double number(const Tensor& loss) {
    const std::optional<Tensor> converted = [&] {
      NoGradient pause;
      return wide(loss);
    }();
    return value(converted);
  }

  std::int64_t examples() const { return totals_.examples; }
  std::int64_t batches() const { return totals_.batches; }

 private:
  // In f16 or bf16 a running sum would soon stop growing.
  static Tensor wide(const Tensor& amount) { return cast(amount, compute_dtype(amount.dtype())); }
  static void accumulate(std::optional<Tensor>& total, const Tensor& amount) {
    total = total ? *total + amount : amount;
  }
  static double value(const std::optional<Tensor>& t) {
    return t->dtype() == DType::f64 ? t->item<double>() : static_cast<double>(t->item<float>());
  }

  const Compile& compile_;
  Totals totals_;
};

}  // namespace lockstep::nn
