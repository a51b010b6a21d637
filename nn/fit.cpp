// fit() and evaluate(): loops over batches around train_step's parts.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "lockstep/autodiff.h"
#include "lockstep/error.h"
#include "lockstep/memory.h"
#include "lockstep/ops.h"
#include "nn/model_state.h"
#include "nn/progress.h"
#include "runtime/caller.h"
#include "runtime/enums.h"

namespace lockstep::nn {
namespace {

// Running sums of loss and metrics. They stay on the device, so that looking at them is the only time to wait.
class Meters {
 public:
  Meters(const Compile& compile) : compile_(compile) {}

  struct Totals {
    std::optional<Tensor> loss, batch_loss, batch_loss_square;
    std::vector<std::optional<Tensor>> metrics;
    std::int64_t examples = 0, batches = 0;
  };

  /// The sums with one more batch. They count from set() on, so that what can fail comes before the weights change.
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

  std::int64_t examples() const { return totals_.examples; }
  std::int64_t batches() const { return totals_.batches; }

 private:
  // A running sum in f16 or bf16 would soon stand still.
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

void check_features(const Model::State& state, const data::Dataset& data, const char* op,
                    const std::source_location& where) {
  NoGradient pause;
  const Spec given = data.features();
  if (given == state.input) return;
  ErrorBuilder(given.dtype == state.input.dtype ? ErrorId::shapes_differ : ErrorId::dtypes_differ, op,
               "the data set has examples of " + std::string(name_of(given.dtype)) + " " + given.shape.to_string() +
                   ", the model was built for " + std::string(name_of(state.input.dtype)) + " " +
                   state.input.shape.to_string())
      .at(where)
      .fix("build the model for this data, or prepare() the data for the model")
      .raise();
}

std::int64_t label_at(const std::byte* bytes, DType t, std::size_t i) {
  switch (t) {
    case DType::u8: return std::to_integer<std::int64_t>(bytes[i]);
    case DType::i8: return static_cast<std::int8_t>(bytes[i]);
    case DType::i32: return reinterpret_cast<const std::int32_t*>(bytes)[i];
    default: return reinterpret_cast<const std::int64_t*>(bytes)[i];
  }
}

// Class numbers must lie within the classes that the model distinguishes: on the device a wrong one only shows as NaN.
void check_labels(const Model::State& state, const data::Dataset& data, const char* op,
                  const std::source_location& where) {
  const Spec label = data.labels();
  NoGradient pause;
  if (!state.compile->loss.sparse_labels) return;
  if (is_floating(label.dtype)) {
    raise(ErrorId::dtype_not_accepted, op,
          "the labels are " + std::string(name_of(label.dtype)) + ", " + state.compile->loss.name +
              " takes class numbers, which are integers",
          "give cast(labels, i32) as labels", where);
  }
  if (!is_integer(label.dtype) || data.size() == 0) return;
  const std::int64_t classes = state.describe_output().shape[-1], per_example = label.shape.size();
  std::vector<std::int64_t> indices(static_cast<std::size_t>(data.size()));
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::int64_t>(i);
  std::vector<std::byte> bytes(indices.size() * static_cast<std::size_t>(per_example) * size_of(label.dtype));
  data.source().copy(indices, nullptr, bytes.data());
  for (std::size_t i = 0; i < indices.size() * static_cast<std::size_t>(per_example); ++i) {
    const std::int64_t value = label_at(bytes.data(), label.dtype, i);
    if (value >= 0 && value < classes) continue;
    raise(ErrorId::index_out_of_range, op,
          "the label of example " +
              std::to_string(static_cast<std::int64_t>(i) / std::max<std::int64_t>(1, per_example)) + " is " +
              std::to_string(value) + ", the model has " + std::to_string(classes) + " classes",
          "labels go from 0 to the number of classes - 1", where);
  }
}

void check_at_least(std::int64_t least, std::int64_t value, const char* field, const char* op,
                    const std::source_location& where) {
  if (value >= least) return;
  raise(ErrorId::invalid_attribute, op, std::string(field) + " is " + std::to_string(value),
        "give " + std::string(field) + " of " + std::to_string(least) + " or more", where);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::map<std::string, double> Model::evaluate(const data::Dataset& data, std::int64_t batch_size, Where where) {
  state_.at(where).require_compiled("evaluate", where);
  check_at_least(1, batch_size, "batch_size", "evaluate", where);
  const CallerScope caller(where);
  check_features(*state_, data, "evaluate", where);
  check_labels(*state_, data, "evaluate", where);
  NoGradient pause;
  Meters meters(state_->compiled());
  data::Dataset::Pass pass = data.batches(batch_size, *state_->device);
  while (const std::optional<data::Batch> batch = pass.next()) {
    const Tensor predictions = (*this)(batch->features, {}, where);
    const Tensor loss = state_->compiled().loss.compute(predictions, batch->labels);
    meters.set(meters.with(loss, predictions, batch->labels));
  }
  std::map<std::string, double> values;
  for (const Shown& v : meters.read()) values[v.name] = v.value;
  return values;
}

namespace {

// What a step of fit() holds at most, tried with real data and without changing anything: two batches, the gradients,
// the metrics, and the optimizer's state if that is not there yet. Throws OutOfMemoryError where it does not fit.
std::uint64_t try_step(Model::State& state, const data::Dataset& train, std::int64_t batch_size,
                       const std::source_location& where) {
  const Device device = *state.device;
  const StepGuard guard(state);
  RandomScope random(RandomKey{});
  DeviceScope scope(device);
  release_cached_memory(device);
  reset_peak_memory(device);
  const std::vector<Variable> variables = state.layers->trainable_variables();
  optim::Optimizer& optimizer = state.compiled().optimizer;
  std::vector<Tensor> slots;
  if (optimizer.state().empty()) {
    for (const Variable& v : variables) {
      for (int i = 0; i < optimizer.slots_per_variable(); ++i) slots.push_back(zeros(v.shape(), v.dtype()));
    }
  }
  data::Dataset::Pass pass = train.batches(batch_size, device);
  const std::optional<data::Batch> batch = pass.next();
  const Gradients g = gradients_of(state, batch->features, batch->labels, where);
  Meters meters(state.compiled());
  meters.set(meters.with(g.loss, g.predictions, batch->labels));
  synchronize(device);
  return memory_stats(device).peak_live;
}

// "batch 128 fits …", after trying it; "" where no batch does. Estimates alone would not do: whether a block fits
// depends on how the memory is divided.
std::string batch_that_fits(Model::State& state, const data::Dataset& train, std::int64_t failed,
                            const std::source_location& where) {
  for (std::int64_t batch = estimate_batch(state, train.labels(), failed); batch > 0; batch = batch * 3 / 4) {
    try {
      const std::uint64_t peak = try_step(state, train, batch, where);
      // A little less, for what is divided otherwise by then.
      batch -= batch / 16;
      if (batch >= 16) batch -= batch % 8;
      return "batch " + std::to_string(batch) + " fits (measured peak " + format_bytes(peak) + ")";
    } catch (const OutOfMemoryError&) {
    }
  }
  return "";
}

// The same error, with the batch size that fits as its hint.
[[noreturn]] void raise_with_advice(const OutOfMemoryError& error, const std::string& advice) {
  Error::Parts parts = error.parts();
  const std::size_t at = parts.text.rfind(parts.hint);
  if (at != std::string::npos) parts.text.replace(at, parts.hint.size(), advice);
  parts.hint = advice;
  rethrow(parts);
}

}  // namespace

History Model::fit(const data::Dataset& train, const Fit& options, Where where) {
  state_.at(where).require_compiled("fit", where);
  check_at_least(0, options.epochs, "epochs", "fit", where);
  check_at_least(0, options.steps, "steps", "fit", where);
  check_at_least(1, options.batch_size, "batch_size", "fit", where);
  check_enum(options.verbose, Verbose::line, "way to show progress", "fit", where);
  const CallerScope caller(where);
  check_features(*state_, train, "fit", where);
  check_labels(*state_, train, "fit", where);
  if (options.validation) {
    check_features(*state_, *options.validation, "fit", where);
    check_labels(*state_, *options.validation, "fit", where);
  }
  if (train.size() == 0)
    raise(ErrorId::invalid_attribute, "fit", "the data set is empty", "give at least one example", where);
  const data::Dataset data = options.shuffle ? train.shuffle(*options.shuffle) : train;
  bool in_step = false;
  std::optional<OutOfMemoryError> shortage;
  try {
    return run_epochs(data, options, in_step, where);
  } catch (const OutOfMemoryError& e) {
    if (!in_step) throw;
    shortage.emplace(e);
  }
  // By now the failed step has let go of its memory.
  const std::string advice = batch_that_fits(*state_, train, std::min(options.batch_size, train.size()), where);
  if (advice.empty()) throw OutOfMemoryError(*shortage);
  raise_with_advice(*shortage, advice);
}

History Model::run_epochs(const data::Dataset& data, const Fit& options, bool& in_step, Where where) {
  const Device device = *state_->device;
  const std::int64_t per_epoch = (data.size() - 1) / options.batch_size + 1;
  const std::int64_t epochs = options.epochs > 0  ? options.epochs
                              : options.steps > 0 ? (options.steps - 1) / per_epoch + 1
                                                  : 1;

  History history;
  std::int64_t steps_done = 0;
  const auto finished = [&] { return options.steps > 0 && steps_done >= options.steps; };
  for (std::int64_t epoch = 1; epoch <= epochs && !finished(); ++epoch) {
    const auto started = std::chrono::steady_clock::now();
    data::Dataset::Pass pass = data.batches(options.batch_size, device, epoch - 1);
    const std::int64_t steps =
        options.steps > 0 ? std::min(pass.batch_count(), options.steps - steps_done) : pass.batch_count();
    Progress progress(options.verbose, device, epoch, epochs, steps);
    Meters meters(state_->compiled());
    std::vector<Shown> shown;
    for (std::int64_t step = 1; step <= steps; ++step) {
      in_step = true;
      bool drawn = false;
      const std::optional<data::Batch> batch = pass.next();
      {
        StepGuard guard(*state_);
        const Gradients g = gradients_of(*state_, batch->features, batch->labels, where);
        Meters::Totals totals = meters.with(g.loss, g.predictions, batch->labels);
        // Reading can fail like everything else, and so comes before the weights change.
        drawn = progress.due();
        if (drawn || step == steps) shown = meters.read(totals);
        state_->compiled().optimizer.apply(g.values, g.variables, where);
        guard.keep();
        meters.set(std::move(totals));
      }
      in_step = false;
      ++steps_done;
      progress.step(batch->size());
      if (drawn) progress.draw(shown);
      if (options.on_step) options.on_step({epoch, step});
    }
    synchronize(device);
    EpochResult result;
    result.steps = meters.batches();
    result.examples = meters.examples();
    result.seconds = seconds_since(started);
    if (options.validation) {
      for (const auto& [name, value] :
           evaluate(*options.validation, std::min<std::int64_t>(256, options.batch_size), where))
        shown.push_back({"val_" + name, value});
    }
    progress.finish(shown);
    for (const Shown& v : shown) result.values[v.name] = v.value;
    history.push_back(std::move(result));
  }
  return history;
}

}  // namespace lockstep::nn
