// What a Model handle points to.
#pragma once

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "autodiff/update_undo.h"
#include "lockstep/model.h"

namespace lockstep::nn {

struct Model::State {
  std::unique_ptr<Layer> layers;
  std::optional<Device> device;
  Spec input;  // of one example
  std::optional<Compile> compile;
  std::int64_t epochs = 0;        // begun since compile()
  std::int64_t batch_size = 256;  // of the last fit()

  void require_built(const char* op, const std::source_location& where) const;
  void require_compiled(const char* op, const std::source_location& where) const;
  Compile& compiled() { return *compile; }

  /// Output spec for a batch described by its symbol.
  Spec describe_output() const;
};

/// The loss and its gradients for one batch, without changing anything.
struct Gradients {
  Tensor loss, predictions;
  std::vector<Variable> variables;  // all that are trainable, those of layers that this forward pass built among them
  std::vector<Tensor> values;       // one per variable
};
Gradients gradients_of(Model::State& state, const Tensor& features, const Tensor& labels,
                       const std::source_location& where);

/// Takes back what a forward pass in training changes besides the weights, unless the step is kept: the position in
/// the random numbers, variables that are not trainable (running statistics), and layers that it was the first to call.
/// The first two also where a kept step's update turns out, later, to have failed on the device.
class StepGuard {
 public:
  explicit StepGuard(Model::State& state);
  ~StepGuard();
  StepGuard(const StepGuard&) = delete;
  StepGuard& operator=(const StepGuard&) = delete;

  void keep() { kept_ = true; }

 private:
  struct Before {
    RandomKey random = random_position();
    std::thread::id thread = std::this_thread::get_id();  // whose random numbers these are
    std::vector<std::pair<Variable, Tensor>> values;      // a tensor that was read keeps its value

    void restore() const;
  };
  void note(Layer& layer);

  const std::shared_ptr<Before> before_ = std::make_shared<Before>();
  const UndoWithUpdate undo_{[before = before_] { before->restore(); }};
  std::vector<Layer*> unbuilt_;
  bool kept_ = false;
};

/// The optimizer's state, made before a step, and, where it has none yet, in memory that is otherwise as empty as it
/// can be. Taken back at the end of the scope unless a step was applied.
class PreparedState {
 public:
  explicit PreparedState(Model::State& state);
  ~PreparedState() { optimizer_.forget_prepared(); }
  PreparedState(const PreparedState&) = delete;
  PreparedState& operator=(const PreparedState&) = delete;

 private:
  optim::Optimizer& optimizer_;
};

/// After training ran out of memory at `batch`: the largest batch that should fit, from measuring two small ones; 0
/// where not even those do.
std::int64_t estimate_batch(Model::State& state, const Spec& label, std::int64_t batch);

}  // namespace lockstep::nn
