// Model: layers with a loss and an optimizer, for training, evaluation and prediction.
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
  std::vector<metrics::Metric> metrics = {};  // of different names, none "loss" or with the prefix "val_"
};

/// What fit() prints: nothing, a progress bar (if the output is not a terminal, one line per epoch), or one line per
/// epoch.
enum class Verbose : std::uint8_t { silent, bar, line };

struct EpochResult {
  std::map<std::string, double> values;  // "loss", the metrics, and the same with the prefix "val_"
  std::int64_t steps = 0;
  std::int64_t examples = 0;
  double seconds = 0;
  /// True if training was stopped before all steps and the validation of this epoch were done. `values` are then means
  /// over the steps that were done, and there are none with the prefix "val_".
  bool stopped = false;
};

using History = std::vector<EpochResult>;

/// The argument of Fit::on_step, which fit() calls after each step. Valid during that call only.
struct StepInfo {
  std::int64_t epoch = 0, step = 0;  // counted from 1; step within the epoch
  std::int64_t steps = 0;            // how many the epoch has, unless it is stopped
  /// The loss of this step's batch, computed before the update. Waits for the device, so calling it at every step keeps
  /// the host from preparing the next step meanwhile.
  std::function<double()> loss = nullptr;
  /// The loss and the metrics by name, as means over the examples of the epoch so far. Waits for the device.
  std::function<std::map<std::string, double>()> values = nullptr;
  /// Ends training after this step.
  std::function<void()> stop = nullptr;
};

/// The argument of Fit::on_epoch, which fit() calls after each epoch, validation included. Valid during that call only.
struct EpochInfo {
  std::int64_t epoch = 0, epochs = 0;  // counted from 1; how many there are, unless training is stopped
  const EpochResult& result;           // what History gets
  /// Ends training after this epoch.
  std::function<void()> stop = nullptr;
};

/// Training ends early if a callback calls stop() or should_stop returns true. No further step or batch of validation
/// then starts. An epoch of which at least one step was done is in the History and calls on_epoch, with
/// EpochResult::stopped if something of it is missing. The next fit() starts with the next epoch.
///
/// Callbacks run on the thread that called fit(). If one throws, fit() ends and passes the exception on; all steps
/// until then count, and the model can be used and trained further. A callback must not move, assign or destroy the
/// model, and cannot compile it: fit() uses it afterwards.
struct Fit {
  std::int64_t epochs = 0;  // 0: as many as `steps` needs, or 1 if `steps` is 0
  std::int64_t steps = 0;   // stop after this many steps in total; 0: after `epochs`
  std::int64_t batch_size = 32;
  std::optional<data::Dataset> validation = std::nullopt;
  // Key of the order of examples; nullopt: no shuffling. The n-th epoch since compile() has the n-th order, no matter
  // how the epochs are divided into calls of fit().
  std::optional<RandomKey> shuffle = RandomKey{};
  Verbose verbose = Verbose::bar;
  std::function<void(const StepInfo&)> on_step = nullptr;
  std::function<void(const EpochInfo&)> on_epoch = nullptr;
  // Asked before each step and each batch of validation. For what another thread or a signal handler sets:
  //   std::atomic<bool> interrupted;  …  .should_stop = [] { return interrupted.load(); }
  //   std::stop_token token;          …  .should_stop = [token] { return token.stop_requested(); }
  std::function<bool()> should_stop = nullptr;
};

/// A layer, usually a Sequential, that can be trained:
///
///     Model model(Sequential(Conv2d{.filters = 32}, Relu{}, MaxPool2d{}, Flatten{}, Dense{.units = 10}));
///     model.build({28, 28, 1}, device);
///     model.compile({.optimizer = optim::Adam{}, .loss = losses::SparseCategoricalCrossentropy{},
///                    .metrics = {metrics::Accuracy{}}});
///     model.fit(train, {.epochs = 3, .validation = test});
///
/// Several threads may run a model that is built at the same time: calls without Call::training, predict() and
/// evaluate() do not change it, and take no lock of it. Meanwhile nothing may train it, load weights or compile it.
class Model {
 public:
  template <class L>
  explicit Model(L layers) : Model(detail::to_layer(std::move(layers))) {}
  explicit Model(std::unique_ptr<Layer> layers);
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  /// Creates the variables on `device` (default: the default device). `input` is the shape of an input, without the
  /// batch dimension.
  void build(const Shape& input, std::optional<Device> device = std::nullopt, DType dtype = DType::f32,
             CallSite where = CallSite::current());
  bool built() const;
  Device device(CallSite where = CallSite::current()) const;

  /// Runs the layers on `x`, which has a batch dimension. With Call::training, layers that are called for the first
  /// time are built, and running statistics change.
  Tensor operator()(const Tensor& x, const Call& c = {}, CallSite where = CallSite::current());
  /// The same, but throws StateError LS1001 if a layer is not built.
  Tensor operator()(const Tensor& x, const Call& c = {}, CallSite where = CallSite::current()) const;

  /// Throws StateError LS1001 before build().
  std::vector<Variable> variables(CallSite where = CallSite::current()) const;
  std::vector<Variable> trainable_variables(CallSite where = CallSite::current()) const;

  /// A table of layers with output shapes, parameter counts and memory per example, and the memory that training with
  /// batch size `batch` needs.
  std::string summary(std::int64_t batch = 32, CallSite where = CallSite::current()) const;

  /// Also sets epochs() to 0. Throws StateError LS1008 while fit(), evaluate() or train_step() of this model runs, as
  /// in their callbacks, and for names of metrics that do not differ (see Compile).
  void compile(Compile options);
  optim::Optimizer& optimizer(CallSite where = CallSite::current());
  /// How many epochs fit() has begun since compile(); a stopped one counts. load_checkpoint() restores it.
  std::int64_t epochs() const;

  /// Runs one optimizer step on a batch and returns the loss. Throws StateError LS1005 before compile().
  Tensor train_step(const data::Batch& batch, CallSite where = CallSite::current());

  /// Trains the model. If a step runs out of memory, all memory that it does not need is released and the step is
  /// retried once. If it fails again, throws OutOfMemoryError with a batch size for which a whole epoch fits, including
  /// evaluation; the model is then as before the failed step. Returns the epochs that were done, the last one possibly
  /// in part; empty if should_stop is true from the start.
  History fit(const data::Dataset& train, const Fit& options = {}, CallSite where = CallSite::current());
  /// Returns the mean loss and the metrics; the model does not change. batch_size 0 means that of the last fit(), but
  /// at most 256. Throws ShapeError LS2007 for an empty data set; OutOfMemoryError with a batch size that fits. Threads
  /// that evaluate one model at the same time need data sets of different sources (data::Source).
  std::map<std::string, double> evaluate(const data::Dataset& data, std::int64_t batch_size = 0,
                                         CallSite where = CallSite::current()) const;
  /// Runs the layers on `x`, which has a batch dimension, without recording for gradients.
  Tensor predict(const Tensor& x, CallSite where = CallSite::current()) const;

  void save_weights(const std::string& path, CallSite where = CallSite::current()) const;
  /// Also takes the weights alone from a checkpoint.
  void load_weights(const std::string& path, CallSite where = CallSite::current());
  std::string weights_sha256(CallSite where = CallSite::current()) const;

  /// Saves all that training depends on: variables (also running statistics), the optimizer, epochs(), and this
  /// thread's position in the random numbers, from which Dropout draws. Call it on the thread that trains. Throws
  /// StateError LS1005 before compile(); IoError LS8005 if the file cannot be written. The file appears under its name
  /// only when it is complete.
  void save_checkpoint(const std::string& path, CallSite where = CallSite::current()) const;
  /// Makes the model, and this thread's position in the random numbers, as they were when the file was saved. Whatever
  /// trains it then (calls of fit() with the same options, of train_step() with the same batches) gives the bits that
  /// it would have given there, on the same device with the same math mode and number of threads (in lockstep mode, on
  /// any). An epoch that had begun counts as done: save after epochs, for example in Fit::on_epoch. The model must be
  /// built and compiled as the one that was saved; the options of the optimizer come from the file. Throws StateError
  /// LS1005 before compile(); IoError LS8001 to LS8004 for files that cannot be read or are damaged, LS8006 if the file
  /// does not fit the model or is not a checkpoint. After any failure nothing has changed.
  void load_checkpoint(const std::string& path, CallSite where = CallSite::current());

  struct LOCKSTEP_HIDDEN State;  // internal

 private:
  HandlePointer<std::unique_ptr<State>, "model"> state_;
};

}  // namespace nn
}  // namespace lockstep
