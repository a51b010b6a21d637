#include "lockstep/model.h"

#include <utility>

#include "lockstep/autodiff.h"
#include "lockstep/error.h"
#include "lockstep/ops.h"
#include "lockstep/serialize.h"
#include "nn/model_state.h"
#include "runtime/caller.h"

namespace lockstep::nn {

void Model::State::require_built(const char* op, CallSite where) const {
  if (device) return;
  raise(ErrorId::not_built, op, "the model has no variables yet", "call build() with the shape of one input", where);
}

void Model::State::require_compiled(const char* op, CallSite where) const {
  require_built(op, where);
  if (compile) return;
  raise(ErrorId::not_compiled, op, "the model has no optimizer and loss yet", "call compile() first", where);
}

TensorSpec Model::State::describe_output() const {
  Shape shape{Dim::symbol("batch")};
  for (Dim d : input.shape.dims()) shape.append(d);
  return (*layers)(Tensor::abstract({input.dtype, shape})).spec();
}

Model::Model(std::unique_ptr<Layer> layers) : state_(std::make_unique<State>()) {
  if (!layers) {
    ErrorBuilder(ErrorId::invalid_use, "model", "there is no layer").fix("give a layer, such as Sequential").raise();
  }
  state_->layers = std::move(layers);
  state_->layers->make_root("model");
}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

void Model::build(const Shape& input, std::optional<Device> device, DType dtype, CallSite where) {
  const CallerScope caller(where);
  if (state_.at(where).device) {
    ErrorBuilder(ErrorId::invalid_use, "build", "the model was built already, on " + state_->device->name())
        .at(where)
        .fix("make a new model")
        .raise();
  }
  const Device target = device ? *device : default_device();
  target.state();  // reports an unusable device here
  DeviceScope scope(target);
  NoGradient pause;
  state_->input = {dtype, input};
  const RandomKey before = random_position();
  try {
    // Layers create their variables in the first call. A call with an abstract tensor is enough for that.
    state_->describe_output();
  } catch (...) {
    state_->layers->forget_variables();  // so that a second build() creates each variable once, with equal values
    set_random_position(before);
    throw;
  }
  state_->device = target;
}

bool Model::built() const { return state_->device.has_value(); }

Device Model::device(CallSite where) const {
  state_.at(where).require_built("device", where);
  return *state_->device;
}

Tensor Model::operator()(const Tensor& x, const Call& c, CallSite where) {
  // Without training, threads may share also a model that is not const.
  if (!c.training) return std::as_const(*this)(x, c, where);
  state_.at(where).require_built("model", where);
  const CallerScope caller(where);
  DeviceScope scope(*state_->device);
  return (*state_->layers)(x, c);
}

Tensor Model::operator()(const Tensor& x, const Call& c, CallSite where) const {
  state_.at(where).require_built("model", where);
  const CallerScope caller(where);
  DeviceScope scope(*state_->device);
  return std::as_const(*state_->layers)(x, c);
}

// Names of variables do not include the model's own name.
std::vector<Variable> Model::variables(CallSite where) const {
  state_.at(where).require_built("variables", where);
  return state_->layers->variables();
}

std::vector<Variable> Model::trainable_variables(CallSite where) const {
  state_.at(where).require_built("trainable_variables", where);
  return state_->layers->trainable_variables();
}

void Model::compile(Compile options) {
  const auto fail = [](const std::string& what) {
    ErrorBuilder(ErrorId::invalid_use, "compile", what)
        .fix("give one of lockstep::losses and metrics, or a function")
        .raise();
  };
  if (!options.loss.compute) fail("the loss has no function");
  for (const metrics::Metric& m : options.metrics) {
    if (!m.sum) fail("the metric \"" + m.name + "\" has no function");
  }
  state_->compile.emplace(std::move(options));
  state_->epochs = 0;
}

optim::Optimizer& Model::optimizer(CallSite where) {
  if (!state_.at(where).compile) state_->require_compiled("optimizer", where);
  return state_->compiled().optimizer;
}

std::int64_t Model::epochs() const { return state_->epochs; }

Tensor Model::predict(const Tensor& x, CallSite where) const {
  NoGradient pause;
  return (*this)(x, {}, where);
}

void Model::save_weights(const std::string& path, CallSite where) const {
  const CallerScope caller(where);
  lockstep::save_weights(path, variables(where));
}

void Model::load_weights(const std::string& path, CallSite where) {
  const CallerScope caller(where);
  lockstep::load_weights(path, variables(where), where);
}

std::string Model::weights_sha256(CallSite where) const {
  const CallerScope caller(where);
  return lockstep::weights_sha256(variables(where));
}

}  // namespace lockstep::nn
