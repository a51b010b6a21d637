// What fit() and evaluate() do where memory runs out.
#pragma once

#include <optional>
#include <string>

#include "lockstep/error.h"
#include "nn/model_state.h"

namespace lockstep::nn {

/// While it lives, the device's memory is laid out by the order of requests alone: slower, and denser.
class CompactMemory {
 public:
  explicit CompactMemory(Device device);
  ~CompactMemory();
  CompactMemory(const CompactMemory&) = delete;
  CompactMemory& operator=(const CompactMemory&) = delete;

 private:
  Device device_;
};

/// Repeats a batch, once, where memory ran out in it: with everything let go that only that batch needed. What is tried
/// then is the same each time, whatever lay in memory before. So a batch size that was found to fit does fit.
class Retry {
 public:
  explicit Retry(Device device) : device_(device) {}

  /// Calls act(); where it throws OutOfMemoryError, calls undo() and then act() again. undo() lets go of what act()
  /// needs, and says whether nothing else failed.
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
  std::optional<CompactMemory> compact_;  // from the first shortage on
};

/// Loss and metrics over the data.
class Meters;
void evaluate_batches(Model::State& state, const data::Dataset& data, std::int64_t batch_size, Meters& meters,
                      Retry& retry, const std::source_location& where);

/// Evaluation's batches where training's are of this size.
std::int64_t evaluation_batch(std::int64_t batch_size);

/// After training ran out of memory with this batch size: "batch 128 fits (measured peak …)", after trying all that an
/// epoch holds without changing anything; "" where no batch does.
std::string batch_that_fits(Model::State& state, const data::Dataset& train, const Fit& options,
                            const std::source_location& where);

}  // namespace lockstep::nn
