// Model: layers with a loss and an optimizer; trains, evaluates, predicts.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lockstep/data.h"
#include "lockstep/export.h"
#include "lockstep/losses.h"
#include "lockstep/metrics.h"
#include "lockstep/nn.h"
#include "lockstep/optim.h"

namespace LOCKSTEP_API lockstep {
namespace nn {

struct Compile {
  optim::Optimizer optimizer;
  losses::Loss loss;
  std::vector<metrics::Metric> metrics = {};
};

/// What fit() shows: nothing, a bar that is redrawn (or, where the output is no terminal, one line per epoch), or one
/// line per epoch.
enum class Verbose : std::uint8_t { silent, bar, line };

/// What happened in one step of fit().
struct StepInfo {
  std::int64_t epoch = 0, step = 0;  // from 1; step within the epoch
};

struct Fit {
  std::int64_t epochs = 0;  // 0: as many as the steps need, or 1 without steps
  std::int64_t steps = 0;   // stop after so many steps in all; 0: after the epochs
  std::int64_t batch_size = 32;
  std::optional<data::Dataset> validation = std::nullopt;
  // Order of examples; nullopt: as they come. The n-th epoch since compile() has the n-th order, whether one call of
  // fit() makes all epochs or each call makes one.
  std::optional<RandomKey> shuffle = RandomKey{};
  Verbose verbose = Verbose::bar;
  std::function<void(const StepInfo&)> on_step = nullptr;
};

struct EpochResult {
  std::map<std::string, double> values;  // "loss", the metrics, and these with "val_" before them
  std::int64_t steps = 0;
  std::int64_t examples = 0;
  double seconds = 0;
};

using History = std::vector<EpochResult>;

/// A layer, usually a Sequential, made ready to train:
///
///     Model model(Sequential(Conv2d{.filters = 32}, Relu{}, MaxPool2d{}, Flatten{}, Dense{.units = 10}));
///     model.build({28, 28, 1}, device);
///     model.compile({.optimizer = optim::Adam{}, .loss = losses::SparseCategoricalCrossentropy{},
///                    .metrics = {metrics::Accuracy{}}});
///     model.fit(train, {.epochs = 3, .validation = test});
class Model {
 public:
  using Where = std::source_location;

  template <class L>
  explicit Model(L layers) : Model(detail::to_layer(std::move(layers))) {}
  explicit Model(std::unique_ptr<Layer> layers);
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  /// Makes the variables, for inputs of this shape without the batch, on `device` (default: the default device).
  void build(const Shape& input, std::optional<Device> device = std::nullopt, DType dtype = DType::f32,
             Where where = Where::current());
  bool built() const;
  Device device(Where where = Where::current()) const;

  Tensor operator()(const Tensor& x, const Call& c = {}, Where where = Where::current());

  /// Throws StateError LS1001 before build().
  std::vector<Variable> variables(Where where = Where::current()) const;
  std::vector<Variable> trainable_variables(Where where = Where::current()) const;

  /// A table of layers with output shapes, parameters, and memory per example; and what training at `batch` takes.
  std::string summary(std::int64_t batch = 32, Where where = Where::current()) const;

  void compile(Compile options);
  optim::Optimizer& optimizer(Where where = Where::current());

  /// One optimizer step on a batch; the loss. Throws StateError LS1005 before compile().
  Tensor train_step(const data::Batch& batch, Where where = Where::current());

  /// Trains. Where memory runs out a step is tried once more, with all memory given back that it does not need; if it
  /// does not fit then either, throws OutOfMemoryError with a batch size with which a whole epoch fits, evaluation
  /// included. The model is then as before the failed step.
  History fit(const data::Dataset& train, const Fit& options = {}, Where where = Where::current());
  /// Mean loss and metrics; nothing changes. batch_size 0: that of the last fit(), but at most 256. Throws ShapeError
  /// LS2007 for an empty set.
  std::map<std::string, double> evaluate(const data::Dataset& data, std::int64_t batch_size = 0,
                                         Where where = Where::current());
  Tensor predict(const Tensor& x, Where where = Where::current());

  void save_weights(const std::string& path, Where where = Where::current()) const;
  void load_weights(const std::string& path, Where where = Where::current());
  std::string weights_sha256(Where where = Where::current()) const;

  struct State;  // the library's

 private:
  Held<std::unique_ptr<State>, "model"> state_;
};

}  // namespace nn
}  // namespace lockstep
