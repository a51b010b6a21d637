// One training step, and its memory needs.
#include <algorithm>

#include "lockstep/autodiff.h"
#include "lockstep/error.h"
#include "lockstep/memory.h"
#include "lockstep/ops.h"
#include "nn/model_state.h"
#include "nn/out_of_memory.h"
#include "runtime/caller.h"

namespace lockstep::nn {
namespace {

Tensor batch_of_zeros(const TensorSpec& example, std::int64_t count) {
  Shape shape{count};
  for (Dim d : example.shape.dims()) shape.append(d);
  return zeros(shape, example.dtype);
}

// Returns the bytes that forward and backward need in addition to the memory in use.
std::uint64_t measure_step(Model::State& state, const TensorSpec& label, std::int64_t count) {
  const Device device = *state.device;
  reset_peak_memory(device);
  const std::uint64_t before = memory_stats(device).live;
  {
    const StepGuard guard(state);
    RandomScope random(RandomKey{});
    const Tensor features = batch_of_zeros(state.input, count), labels = batch_of_zeros(label, count);
    gradients_of(state, features, labels, CallSite::current());
  }
  return memory_stats(device).peak_live - before;
}

}  // namespace

std::uint64_t bytes_of(const std::vector<Variable>& variables) {
  std::uint64_t total = 0;
  for (const Variable& v : variables) total += static_cast<std::uint64_t>(TensorSpec{v.dtype(), v.shape()}.bytes());
  return total;
}

std::uint64_t slot_bytes_of(const std::vector<Variable>& variables) {
  std::uint64_t total = 0;
  for (const Variable& v : variables) {
    total += static_cast<std::uint64_t>(TensorSpec{compute_dtype(v.dtype()), v.shape()}.bytes());
  }
  return total;
}

Gradients gradients_of(Model::State& state, const Tensor& features, const Tensor& labels, CallSite where) {
  DeviceScope device(*state.device);
  GradientTape tape;
  Tensor predictions = (*state.layers)(features, {.training = true});
  Tensor loss = [&] {
    NameScope scope("loss");
    return state.compiled().loss.compute(predictions, labels);
  }();
  std::vector<Variable> variables = state.layers->trainable_variables();
  std::vector<Tensor> gradients = tape.gradient(loss, std::span<const Variable>(variables), {}, where);
  return {std::move(loss), std::move(predictions), std::move(variables), std::move(gradients)};
}

PreparedState::PreparedState(Model::State& state) : optimizer_(state.compiled().optimizer) {
  if (optimizer_.slots_per_variable() > 0 && optimizer_.state().empty()) release_cached_memory(*state.device);
  optimizer_.prepare(state.layers->trainable_variables());
}

StepGuard::StepGuard(Model::State& state) { note(*state.layers); }

void StepGuard::note(Layer& layer) {
  if (!layer.built()) unbuilt_.push_back(&layer);
  for (const Variable& v : layer.own_variables()) {
    if (!v.trainable()) before_->values.emplace_back(v, v.read());
  }
  for (const auto& child : layer.children()) note(*child);
}

void StepGuard::Before::restore(void (VariableImpl::*change)(const TensorRef&)) const {
  for (const auto& [variable, value] : values) {
    // Memory that the tensor shares was not overwritten: an update gives the variable new memory.
    VariableImpl& impl = variable.impl();
    if (&impl.value() != value.impl()) (impl.*change)(TensorRef::share(value.impl()));
  }
  if (thread == std::this_thread::get_id()) set_random_position(random);
}

void StepGuard::Before::note_undo(CommandQueue& queue, std::uint64_t value) const {
  for (const auto& [variable, before] : values) variable.impl().note_undo(queue, value);
}

StepGuard::~StepGuard() {
  if (kept_) return;
  before_->restore(&VariableImpl::replace);
  for (Layer* layer : unbuilt_) {
    if (layer->built()) layer->forget_variables();
  }
}

std::int64_t estimate_batch(Model::State& state, const TensorSpec& label, std::int64_t batch) {
  constexpr std::int64_t small = 2, larger = 6;
  if (batch <= small) return batch - 1;
  NoGradient pause;
  const Device device = *state.device;
  DeviceScope scope(device);
  const CompactMemory compact(device);  // so that memory that is no longer needed does not count
  double at_small = 0, at_larger = 0;
  try {
    at_small = static_cast<double>(measure_step(state, label, small));
    at_larger = static_cast<double>(measure_step(state, label, larger));
  } catch (const OutOfMemoryError&) {
    return at_small > 0 ? small : 1;  // too few measurements for a line through two points
  }
  const double per_example = std::max(1.0, (at_larger - at_small) / static_cast<double>(larger - small));
  const double fixed_cost = std::max(0.0, at_small - per_example * static_cast<double>(small));

  const int slots = state.compiled().optimizer.slots_per_variable();
  const double held =
      static_cast<double>(bytes_of(state.layers->variables())) +
      static_cast<double>(slots) * static_cast<double>(slot_bytes_of(state.layers->trainable_variables()));
  const MemoryStats stats = memory_stats(device);
  const double available = static_cast<double>(stats.limit ? *stats.limit : describe(device).memory_total);
  const double usable = std::max(0.0, available - held - fixed_cost);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::min(usable / per_example, 0x1p40)), 1, batch - 1);
}

Tensor Model::train_step(const data::Batch& batch, CallSite where) {
  state_.at(where).require_compiled("train_step", where);
  const CompileInUse in_use(*state_);
  const CallerScope caller(where);
  StepGuard guard(*state_);
  Gradients g = gradients_of(*state_, batch.features, batch.labels, where);
  state_->compiled().optimizer.apply(g.values, g.variables, where);
  guard.keep();
  return std::move(g.loss);
}

}  // namespace lockstep::nn
