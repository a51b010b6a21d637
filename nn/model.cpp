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

namespace {

[[noreturn]] void refuse_to_compile(const std::string& what, const std::string& fix) {
  ErrorBuilder(ErrorId::invalid_use, "compile", what).fix(fix).raise();
}

// EpochResult::values and evaluate() have one value per name.
void check_names(const std::vector<metrics::Metric>& metrics) {
  const auto refuse = [](const std::string& what) {
    refuse_to_compile(what + ": values are told apart by their names", "set Metric::name to another name");
  };
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const std::string& name = metrics[i].name;
    if (name == "loss") refuse("a metric is named \"loss\", as the value of the loss is");
    if (name.starts_with("val_")) refuse("the metric \"" + name + "\" begins with \"val_\", as validation values do");
    for (std::size_t k = 0; k < i; ++k) {
      if (metrics[k].name != name) continue;
      refuse("metrics " + std::to_string(k + 1) + " and " + std::to_string(i + 1) + " are both named \"" + name + "\"");
    }
  }
}

}  // namespace

void Model::compile(Compile options) {
  if (state_->uses > 0) {
    refuse_to_compile("fit(), evaluate() or train_step() of this model is running and uses what compile() replaces",
                      "compile when it has returned; for another learning rate use optimizer().set_learning_rate()");
  }
  const char* const give = "give one of lockstep::losses and metrics, or a function";
  if (!options.loss.compute) refuse_to_compile("the loss has no function", give);
  for (const metrics::Metric& m : options.metrics) {
    if (!m.sum) refuse_to_compile("the metric \"" + m.name + "\" has no function", give);
  }
  check_names(options.metrics);
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
