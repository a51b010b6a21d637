#include "nn/out_of_memory.h"

#include <algorithm>
#include <set>
#include <utility>

#include "lockstep/autodiff.h"
#include "lockstep/driver.h"
#include "lockstep/memory.h"
#include "lockstep/ops.h"
#include "lockstep/options.h"
#include "nn/meters.h"
#include "runtime/caller.h"
#include "runtime/device_state.h"

namespace lockstep::nn {

CompactMemory::CompactMemory(Device device) : device_(device) { device_.state().allocator().set_compact(true); }
// In compact mode the pool takes its memory as one large segment. Releasing it lets later requests of other sizes use
// that memory.
CompactMemory::~CompactMemory() {
  if (in_forked_child) return;  // the memory is the parent's, and a destructor must not throw
  device_.state().allocator().set_compact(false);
  device_.state().allocator().release_cached();
}

void Retry::make_room() {
  release_cached_memory(device_);
  if (compact_) return;
  log(LKS_LOG_INFO, "memory", "memory is short; from here on its use is denser, and slower");
  compact_.emplace(device_);
}

bool evaluate_batches(Model::State& state, const data::Dataset& data, std::int64_t batch_size, Meters& meters,
                      Retry& retry, CallSite where, const std::function<bool()>& should_stop) {
  NoGradient pause;
  DeviceScope device(*state.device);
  data::Dataset::Pass pass = data.batches(batch_size, *state.device);
  for (std::int64_t number = 0; number < pass.batch_count(); ++number) {
    if (should_stop && should_stop()) return false;
    retry.run(
        [&] {
          const std::optional<data::Batch> batch = pass.next();
          const CallerScope caller(where);
          const Tensor predictions = std::as_const(*state.layers)(batch->features, {});
          const Tensor loss = state.compiled().loss.compute(predictions, batch->labels);
          meters.set(meters.with(loss, predictions, batch->labels));
        },
        [&] {
          pass.seek(number);
          return true;
        });
  }
  return true;
}

std::int64_t evaluation_batch(std::int64_t batch_size) { return std::min<std::int64_t>(256, batch_size); }

namespace {

// Calls f for each kind of batch in a pass, with nothing else in memory, as Retry repeats a batch: the first (like all
// others except the last two), the second to last (which has a smaller next batch uploaded beside it), and the last.
template <class F>
void at_each_kind_of_batch(data::Dataset::Pass& pass, Device device, F&& f) {
  const std::int64_t last = pass.batch_count() - 1;
  for (std::int64_t number : std::set<std::int64_t>{0, std::max<std::int64_t>(0, last - 1), last}) {
    pass.seek(number);
    release_cached_memory(device);
    f(*pass.next());
  }
}

// Memory that a trial leaves free, as a margin for what trials do not cover.
std::uint64_t reserve_for(Device device) {
  const MemoryStats stats = memory_stats(device);
  const std::uint64_t available = stats.limit ? *stats.limit : describe(device).memory_total;
  return std::clamp<std::uint64_t>(available / 16, 16 << 10, std::uint64_t{1} << 30);
}

void try_step(Model::State& state, const data::Batch& batch, Meters& meters, CallSite where) {
  const StepGuard guard(state);
  const Gradients g = gradients_of(state, batch.features, batch.labels, where);
  meters.set(meters.with(g.loss, g.predictions, batch.labels));
}

void try_steps(Model::State& state, const data::Dataset& data, std::int64_t batch_size, CallSite where) {
  Meters meters(state.compiled());
  data::Dataset::Pass pass = data.batches(batch_size, *state.device);
  at_each_kind_of_batch(pass, *state.device, [&](const data::Batch& batch) { try_step(state, batch, meters, where); });
}

void try_evaluation(Model::State& state, const data::Dataset& data, std::int64_t batch_size) {
  NoGradient pause;
  Meters meters(state.compiled());
  data::Dataset::Pass pass = data.batches(batch_size, *state.device);
  at_each_kind_of_batch(pass, *state.device, [&](const data::Batch& batch) {
    const Tensor predictions = (*state.layers)(batch.features, {});
    meters.set(meters.with(state.compiled().loss.compute(predictions, batch.labels), predictions, batch.labels));
  });
}

// Calls act() in compact memory, beside the reserve. Returns the peak; throws OutOfMemoryError if it does not fit.
template <class Act>
std::uint64_t peak_of(Device device, Act&& act) {
  const CompactMemory compact(device);
  const std::uint64_t reserve = reserve_for(device);
  const Tensor reserved = zeros({static_cast<std::int64_t>(reserve)}, DType::u8);
  reset_peak_memory(device);
  act();
  device.state().synchronize_stream();
  return memory_stats(device).peak_live - reserve;
}

std::int64_t rounded(std::int64_t batch) { return batch >= 16 ? batch - batch % 8 : batch; }

// Starts with `batch` and searches for one that fits and is not much smaller than the largest below `failed` that does.
// `peak_at` tries a batch and returns its peak, or throws OutOfMemoryError. Returns the advice, or "" if none fits.
template <class PeakAt>
std::string advice_from(std::int64_t batch, std::int64_t failed, PeakAt&& peak_at) {
  std::uint64_t peak = 0;
  const auto fits = [&](std::int64_t tried) {
    try {
      peak = peak_at(tried);
      return true;
    } catch (const OutOfMemoryError&) {
      return false;
    }
  };
  for (; batch > 0 && !fits(batch); batch = rounded(batch * 3 / 4)) failed = batch;
  if (batch == 0) return "";
  for (std::int64_t more = rounded(batch * 4 / 3); more > batch && more < failed; more = rounded(batch * 4 / 3)) {
    const std::uint64_t known_peak = peak;
    if (!fits(more)) {
      peak = known_peak;
      break;
    }
    batch = more;
  }
  return "batch " + std::to_string(batch) + " fits (measured peak " + format_bytes(peak) + ")";
}

}  // namespace

// The estimate is only the starting point; trials decide. Estimates alone are not enough: whether a block fits depends
// on fragmentation.
std::string batch_that_fits(Model::State& state, const data::Dataset& train, const Fit& options, CallSite where) {
  const std::int64_t failed = std::min(options.batch_size, train.size());
  // The memory-relevant parts of an epoch of fit().
  const auto peak_at = [&](std::int64_t batch) {
    RandomScope random(RandomKey{});
    DeviceScope scope(*state.device);
    const PreparedState prepared(state);
    return peak_of(*state.device, [&] {
      try_steps(state, train, batch, where);
      try_evaluation(state, options.validation ? *options.validation : train, evaluation_batch(batch));
    });
  };
  return advice_from(rounded(estimate_batch(state, train.labels(), failed)), failed, peak_at);
}

std::string evaluation_batch_that_fits(Model::State& state, const data::Dataset& data, std::int64_t batch_size) {
  const std::int64_t failed = std::min(batch_size, data.size());
  const auto peak_at = [&](std::int64_t batch) {
    RandomScope random(RandomKey{});
    DeviceScope scope(*state.device);
    return peak_of(*state.device, [&] { try_evaluation(state, data, batch); });
  };
  return advice_from(rounded(failed * 3 / 4), failed, peak_at);
}

}  // namespace lockstep::nn
