// The state behind a Model handle.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "autodiff/update_undo.h"
#include "autodiff/variable_impl.h"
#include "lockstep/model.h"

namespace lockstep::nn {

struct Model::State {
  std::unique_ptr<Layer> layers;
  std::optional<Device> device;
  TensorSpec input;  // without the batch dimension
  std::optional<Compile> compile;
  std::int64_t epochs = 0;        // epochs begun since compile()
  std::int64_t batch_size = 256;  // of the last fit()
  std::atomic<int> uses{0};       // see CompileInUse

  void require_built(const char* op, CallSite where) const;
  void require_compiled(const char* op, CallSite where) const;
  Compile& compiled() { return *compile; }

  /// Returns the spec of the output, with a symbolic batch dimension.
  TensorSpec describe_output() const;
};

/// While an object of this class exists, fit(), evaluate() or train_step() refers to the model's optimizer, loss and
/// metrics, and compile() is refused. Several may exist at the same time, on several threads.
class CompileInUse {
 public:
  explicit CompileInUse(Model::State& state) : state_(state) { ++state_.uses; }
  ~CompileInUse() { --state_.uses; }
  CompileInUse(const CompileInUse&) = delete;
  CompileInUse& operator=(const CompileInUse&) = delete;

 private:
  Model::State& state_;
};

/// Bytes of the variables' values.
std::uint64_t bytes_of(const std::vector<Variable>& variables);
/// Bytes of one optimizer slot for each variable.
std::uint64_t slot_bytes_of(const std::vector<Variable>& variables);

/// Loss and gradients of one batch. Computing them does not change the weights.
struct Gradients {
  Tensor loss, predictions;
  std::vector<Variable> variables;  // all trainable variables, including those of layers that this forward pass built
  std::vector<Tensor> values;       // one per variable
};
Gradients gradients_of(Model::State& state, const Tensor& features, const Tensor& labels, CallSite where);

/// Unless keep() is called, undoes everything except weights that a forward pass in training changes: the position of
/// the random number generator, non-trainable variables (running statistics), and layers that this pass was the first
/// to call. The first two are also undone if the update of a kept step later turns out to have failed on the device.
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
    std::thread::id thread = std::this_thread::get_id();  // the thread that the random position belongs to
    std::vector<std::pair<Variable, Tensor>> values;      // tensors keep their values when the variables change

    /// With VariableImpl::replace on the thread of the step, with VariableImpl::put_back on any.
    void restore(void (VariableImpl::*change)(const TensorRef&)) const;
    /// The values will be restored if this command fails or is skipped.
    void note_undo(CommandQueue& queue, std::uint64_t value) const;
  };
  void note(Layer& layer);

  const std::shared_ptr<Before> before_ = std::make_shared<Before>();
  const UndoWithUpdate undo_{
      [before = before_] { before->restore(&VariableImpl::put_back); },
      [this](CommandQueue& queue, std::uint64_t value) { before_->note_undo(queue, value); },
  };
  std::vector<Layer*> unbuilt_;
  bool kept_ = false;
};

/// Creates the optimizer's state before a step. If the optimizer has no state yet, cached memory is released first, so
/// that the state is allocated in otherwise empty memory. The state is removed at the end of the scope unless a step
/// was applied.
class PreparedState {
 public:
  explicit PreparedState(Model::State& state);
  ~PreparedState() { optimizer_.forget_prepared(); }
  PreparedState(const PreparedState&) = delete;
  PreparedState& operator=(const PreparedState&) = delete;

 private:
  optim::Optimizer& optimizer_;
};

/// Called after training ran out of memory at `batch`. Measures two small batches and returns an estimate of the
/// largest batch below `batch` that fits; 0 only if `batch` is 1.
std::int64_t estimate_batch(Model::State& state, const TensorSpec& label, std::int64_t batch);

}  // namespace lockstep::nn
