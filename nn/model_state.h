// What a Model handle points to.
#pragma once

#include "lockstep/model.h"

namespace lockstep::nn {

struct Model::State {
  std::unique_ptr<Layer> layers;
  std::optional<Device> device;
  Spec input;  // of one example
  std::optional<Compile> compile;

  void require_built(const char* op, const std::source_location& where) const;
  void require_compiled(const char* op, const std::source_location& where) const;
  Compile& compiled() { return *compile; }

  /// Output spec for a batch described by its symbol.
  Spec describe_output() const;
};

/// The loss and its gradients for one batch, without changing anything.
struct Gradients {
  Tensor loss, predictions;
  std::vector<Tensor> values;
};
Gradients gradients_of(Model::State& state, const Tensor& features, const Tensor& labels,
                       const std::vector<Variable>& variables, const std::source_location& where);

/// After training ran out of memory at `batch`: the largest batch that should fit, from measuring two small ones; 0
/// where not even those do.
std::int64_t estimate_batch(Model::State& state, const Spec& label, std::int64_t batch);

}  // namespace lockstep::nn
