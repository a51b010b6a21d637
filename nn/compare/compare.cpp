// Runs the same training on several devices, side by side.
#include "lockstep/compare.h"

#include "lockstep/error.h"
#include "lockstep/ops.h"
#include "lockstep/serialize.h"
#include "nn/compare/step.h"
#include "runtime/caller.h"

namespace lockstep {
namespace {

struct Trainee {
  Device device;
  nn::Model model;
  double loss = 0;
};

void check(std::span<const data::Batch> batches, std::span<const Device> devices, const CompareOptions& options,
           CallSite where) {
  const auto refuse = [&](std::string what, std::string fix) {
    raise(ErrorId::bad_arguments, "compare", std::move(what), std::move(fix), where);
  };
  if (devices.size() < 2) {
    refuse(devices.empty() ? "no device is named" : "only " + devices[0].name() + " is named",
           "name two devices or more; `lockstep devices` lists them");
  }
  if (batches.empty()) refuse("there is no batch", "give one batch per step");
  if (options.tolerance_ulp && !(*options.tolerance_ulp >= 0)) {
    refuse("the tolerance is " + std::to_string(*options.tolerance_ulp), "give a number of ulp, 0 or more");
  }
  for (Device device : devices) {
    const std::vector<MathMode> modes = describe(device).modes;
    if (std::find(modes.begin(), modes.end(), options.mode) != modes.end()) continue;
    raise(ErrorId::math_mode, "compare",
          device.name() + " does not offer the math mode " + std::string(name_of(options.mode)),
          "`lockstep devices` shows the modes of each device", where);
  }
}

// Copies by name. If `make` builds different models for different devices, that is an error of its author.
void copy_weights(const nn::Model& from, const nn::Model& to, Device device, CallSite where) {
  const std::vector<Variable> source = from.variables(where);
  std::vector<Variable> target = to.variables(where);
  for (std::size_t i = 0; i < std::max(source.size(), target.size()); ++i) {
    const bool same = i < source.size() && i < target.size() && source[i].name() == target[i].name() &&
                      source[i].shape() == target[i].shape() && source[i].dtype() == target[i].dtype();
    if (!same) {
      raise(ErrorId::does_not_match, "compare", "the models that were made for two devices have other variables",
            "make the same model, whatever the device", where);
    }
    const Tensor value = source[i].read();
    target[i].assign(value.device() == device ? value : value.to(device, where), where);
  }
}

double value_of(const Tensor& loss) {
  return loss.dtype() == DType::f64 ? loss.item<double>() : static_cast<double>(loss.item<float>());
}

RecordedStep train(Trainee& t, const data::Batch& batch, MathMode mode, CallSite where) {
  const MathModeScope scope(mode);
  const data::Batch here{batch.features.to(t.device, where), batch.labels.to(t.device, where)};
  CallRecorder recorder;
  const Tensor loss = t.model.train_step(here, where);
  recorder.stop();
  t.loss = value_of(loss);
  return std::move(recorder.calls);
}

}  // namespace

std::vector<Comparison> compare(const std::function<nn::Model(Device)>& make, std::span<const data::Batch> batches,
                                std::span<const Device> devices, const CompareOptions& options, CallSite where) {
  check(batches, devices, options, where);
  if (!make) raise(ErrorId::invalid_use, "compare", "there is no function", "give one that makes the model", where);
  std::vector<Trainee> trainees;
  for (Device device : devices) {
    trainees.push_back({device, make(device)});
    if (trainees.size() > 1) copy_weights(trainees[0].model, trainees.back().model, device, where);
  }
  std::vector<Comparison> results;
  for (std::size_t i = 1; i < trainees.size(); ++i) {
    results.push_back({.first = devices[0].name(), .second = devices[i].name(), .mode = options.mode});
  }
  for (std::size_t step = 0; step < batches.size(); ++step) {
    const RandomKey position = random_position();
    const RecordedStep first = train(trainees[0], batches[step], options.mode, where);
    for (std::size_t i = 1; i < trainees.size(); ++i) {
      set_random_position(position);
      const RecordedStep other = train(trainees[i], batches[step], options.mode, where);
      const MathModeScope scope(options.mode);
      StepComparison(first, other, devices[i], options, where).add_to(results[i - 1], static_cast<std::int64_t>(step));
      ++results[i - 1].steps;
    }
  }
  for (std::size_t i = 1; i < trainees.size(); ++i) {
    results[i - 1].first_loss = trainees[0].loss;
    results[i - 1].second_loss = trainees[i].loss;
    results[i - 1].first_weights = trainees[0].model.weights_sha256(where);
    results[i - 1].second_weights = trainees[i].model.weights_sha256(where);
  }
  return results;
}

}  // namespace lockstep
