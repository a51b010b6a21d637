// Handling of out-of-memory errors in fit() and evaluate().
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "lockstep/error.h"
#include "nn/model_state.h"

namespace lockstep::nn {

/// While an object of this class exists, the device's memory is allocated in compact mode: denser but slower. Whether
/// requests fit then depends only on their order.
class CompactMemory {
 public:
  explicit CompactMemory(Device device);
  ~CompactMemory();
  CompactMemory(const CompactMemory&) = delete;
  CompactMemory& operator=(const CompactMemory&) = delete;

 private:
  Device device_;
};

/// Repeats a batch once if it runs out of memory, after everything that only that batch needed is released. The
/// repeated batch always finds the same situation, whatever was in memory before. So a batch size that was found to fit
/// does fit.
class Retry {
 public:
  explicit Retry(Device device) : device_(device) {}

  /// Calls act(). If it throws OutOfMemoryError, calls undo() and then act() again. undo() releases what act()
  /// allocated and returns false if something else failed too; then the error is rethrown.
  template <class Act, class Undo>
  void run(Act&& act, Undo&& undo) {
    try {
      return act();
    } catch (const OutOfMemoryError&) {
      if (!undo()) throw;
    }
    make_room();
    act();
  }

 private:
  void make_room();

  Device device_;
  std::optional<CompactMemory> compact_;  // set at the first shortage
};

/// Adds loss and metrics of the data to `meters`. `should_stop`, if given, is asked before each batch. Returns false if
/// it ended the evaluation.
class Meters;
bool evaluate_batches(Model::State& state, const data::Dataset& data, std::int64_t batch_size, Meters& meters,
                      Retry& retry, CallSite where, const std::function<bool()>& should_stop = nullptr);

/// The batch size of evaluation, given that of training.
std::int64_t evaluation_batch(std::int64_t batch_size);

/// Called after training ran out of memory with the batch size in `options`. Tries everything that an epoch holds in
/// memory, without changing any state, and returns "batch 128 fits (measured peak …)", or "" if no batch fits.
std::string batch_that_fits(Model::State& state, const data::Dataset& train, const Fit& options, CallSite where);

/// The same for evaluation alone.
std::string evaluation_batch_that_fits(Model::State& state, const data::Dataset& data, std::int64_t batch_size);

}  // namespace lockstep::nn
