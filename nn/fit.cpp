// fit() and evaluate(): the loops over batches.
#include <algorithm>
#include <chrono>

#include "lockstep/error.h"
#include "nn/check_data.h"
#include "nn/meters.h"
#include "nn/model_state.h"
#include "nn/out_of_memory.h"
#include "nn/progress.h"
#include "runtime/caller.h"
#include "runtime/device_state.h"
#include "runtime/enums.h"

namespace lockstep::nn {
namespace {

void check_at_least(std::int64_t min, std::int64_t value, const char* field, const char* op, CallSite where) {
  if (value >= min) return;
  raise(ErrorId::invalid_attribute, op, std::string(field) + " is " + std::to_string(value),
        "give " + std::string(field) + " of " + std::to_string(min) + " or more", where);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Throws the same error again, with a batch size that fits as its hint if there is one.
[[noreturn]] void raise_with_advice(const OutOfMemoryError& error, const std::string& advice) {
  if (advice.empty()) throw OutOfMemoryError(error);
  Error::Parts parts = error.parts();
  const std::size_t at = parts.text.rfind(parts.hint);
  if (at != std::string::npos) parts.text.replace(at, parts.hint.size(), advice);
  parts.hint = advice;
  rethrow(parts);
}

// One call of fit().
class Training {
 public:
  Training(Model::State& state, const data::Dataset& data, const Fit& options, CallSite where)
      : state_(state), data_(data), options_(options), where_(where) {
    const std::int64_t per_epoch = (data.size() - 1) / options.batch_size + 1;
    epochs_ = options.epochs > 0 ? options.epochs : options.steps > 0 ? (options.steps - 1) / per_epoch + 1 : 1;
  }

  History run() {
    for (std::int64_t epoch = 1; epoch <= epochs_ && !finished() && !stopping(); ++epoch) run_epoch(epoch);
    return std::move(history_);
  }

  /// True while one of the user's callbacks runs, and after it threw. fit() does not handle its errors.
  bool in_callback() const { return in_callback_; }

 private:
  bool finished() const { return options_.steps > 0 && steps_done_ >= options_.steps; }

  // Whether the user asked for the end of training.
  bool stopping() {
    if (stop_ || !options_.should_stop) return stop_;
    in_callback_ = true;
    stop_ = options_.should_stop();
    in_callback_ = false;
    return stop_;
  }

  void run_epoch(std::int64_t epoch) {
    const auto started = std::chrono::steady_clock::now();
    data::Dataset::Pass pass = data_.batches(options_.batch_size, device_, state_.epochs);
    const std::int64_t steps =
        options_.steps > 0 ? std::min(pass.batch_count(), options_.steps - steps_done_) : pass.batch_count();
    Progress progress(options_.verbose, device_, epoch, epochs_, steps);
    Meters meters(state_.compiled());
    shown_.clear();
    for (std::int64_t step = 1; step <= steps; ++step) {
      if (step > 1 && stopping()) break;  // run() asked before the first step
      const std::int64_t before = meters.examples(), applied = state_.compiled().optimizer.steps();
      bool drawn = false;
      std::optional<PreparedState> prepared;
      if (steps_done_ == 0) prepared.emplace(state_);
      retry_.run([&] { drawn = run_step(pass, meters, progress, step == steps); },
                 [&] {
                   pass.seek(step - 1);
                   device_.state().synchronize_stream();
                   // If an earlier step turns out to have failed, this step is not repeated.
                   return state_.compiled().optimizer.steps() == applied;
                 });
      // An epoch counts as begun after its first step.
      if (step == 1) ++state_.epochs;
      state_.batch_size = options_.batch_size;
      ++steps_done_;
      progress.step(meters.examples() - before);
      if (drawn) progress.draw(shown_);
      call_on_step(epoch, step, steps, meters);
    }
    finish_epoch(epoch, steps, meters, progress, started);
  }

  // Returns true if there are new values to display.
  bool run_step(data::Dataset::Pass& pass, Meters& meters, const Progress& progress, bool last) {
    const std::optional<data::Batch> batch = pass.next();
    StepGuard guard(state_);
    const Gradients g = gradients_of(state_, batch->features, batch->labels, where_);
    Meters::Totals totals = meters.with(g.loss, g.predictions, batch->labels);
    // Reading the values can fail, so it happens before the weights change.
    const bool drawn = progress.due();
    if (drawn || last) shown_ = meters.read(totals);
    state_.compiled().optimizer.apply(g.values, g.variables, where_);
    guard.keep();
    meters.set(std::move(totals));
    if (options_.on_step) loss_ = g.loss;
    return drawn;
  }

  void call_on_step(std::int64_t epoch, std::int64_t step, std::int64_t steps, const Meters& meters) {
    if (!options_.on_step) return;
    in_callback_ = true;
    options_.on_step({.epoch = epoch,
                      .step = step,
                      .steps = steps,
                      .loss = [this] { return Meters::number(*loss_); },
                      .values = [&meters] { return meters.values(); },
                      .stop = [this] { stop_ = true; }});
    in_callback_ = false;
    loss_.reset();  // before the next step needs memory
  }

  void finish_epoch(std::int64_t epoch, std::int64_t steps, const Meters& meters, Progress& progress,
                    std::chrono::steady_clock::time_point started) {
    device_.state().synchronize_stream();
    EpochResult result;
    result.steps = meters.batches();
    result.examples = meters.examples();
    result.seconds = seconds_since(started);
    result.stopped = result.steps < steps;
    if (result.stopped) shown_ = meters.read();  // only an epoch's last step reads them otherwise
    if (options_.validation && !validate()) result.stopped = true;
    progress.finish(shown_);
    for (const Shown& v : shown_) result.values[v.name] = v.value;
    history_.push_back(std::move(result));
    if (!options_.on_epoch) return;
    in_callback_ = true;
    options_.on_epoch({.epoch = epoch, .epochs = epochs_, .result = history_.back(), .stop = [this] { stop_ = true; }});
    in_callback_ = false;
  }

  // Adds the values of the validation set to those that are shown. Returns false if training is stopped before they are
  // known.
  bool validate() {
    Meters validation(state_.compiled());
    const bool complete = evaluate_batches(state_, *options_.validation, evaluation_batch(options_.batch_size),
                                           validation, retry_, where_, [this] { return stopping(); });
    if (!complete) return false;
    for (const Shown& v : validation.read()) shown_.push_back({"val_" + v.name, v.value});
    return true;
  }

  Model::State& state_;
  const data::Dataset& data_;
  const Fit& options_;
  const CallSite where_;
  const Device device_ = *state_.device;
  std::int64_t epochs_ = 1, steps_done_ = 0;
  bool in_callback_ = false;
  bool stop_ = false;           // the user asked for the end of training
  std::optional<Tensor> loss_;  // of the last step, while its callback runs
  Retry retry_{device_};
  std::vector<Shown> shown_;
  History history_;
};

}  // namespace

std::map<std::string, double> Model::evaluate(const data::Dataset& data, std::int64_t batch_size,
                                              CallSite where) const {
  state_.at(where).require_compiled("evaluate", where);
  const CompileInUse in_use(*state_);
  check_at_least(0, batch_size, "batch_size", "evaluate", where);
  const CallerScope caller(where);
  check_data(*state_, data, "data set", "evaluate", where);
  if (batch_size == 0) batch_size = evaluation_batch(state_->batch_size);
  std::optional<OutOfMemoryError> shortage;
  try {
    Retry retry(*state_->device);
    Meters meters(state_->compiled());
    evaluate_batches(*state_, data, batch_size, meters, retry, where);
    return meters.values();
  } catch (const OutOfMemoryError& e) {
    shortage.emplace(e);
  }
  // The memory of the failed batch is free by now.
  raise_with_advice(*shortage, evaluation_batch_that_fits(*state_, data, batch_size));
}

History Model::fit(const data::Dataset& train, const Fit& options, CallSite where) {
  state_.at(where).require_compiled("fit", where);
  const CompileInUse in_use(*state_);
  check_at_least(0, options.epochs, "epochs", "fit", where);
  check_at_least(0, options.steps, "steps", "fit", where);
  check_at_least(1, options.batch_size, "batch_size", "fit", where);
  check_enum(options.verbose, Verbose::line, "way to show progress", "fit", where);
  const CallerScope caller(where);
  check_data(*state_, train, "data set", "fit", where);
  if (options.validation) check_data(*state_, *options.validation, "validation set", "fit", where);
  const data::Dataset data = options.shuffle ? train.shuffle(*options.shuffle) : train;
  std::optional<OutOfMemoryError> shortage;
  {
    Training training(*state_, data, options, where);
    try {
      return training.run();
    } catch (const OutOfMemoryError& e) {
      if (training.in_callback()) throw;
      shortage.emplace(e);
    }
  }
  // The memory of the failed step is free by now.
  raise_with_advice(*shortage, batch_that_fits(*state_, train, options, where));
}

}  // namespace lockstep::nn
