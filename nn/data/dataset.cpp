#include "lockstep/data.h"

#include <algorithm>
#include <numeric>

#include "lockstep/autodiff.h"
#include "lockstep/error.h"
#include "lockstep/memory.h"
#include "lockstep/scope.h"
#include "ops/random/random_order.h"
#include "runtime/device_state.h"
#include "runtime/host_fill.h"

namespace lockstep::data {
namespace {

TensorSpec batched(const TensorSpec& example, std::int64_t count) {
  Shape shape{count};
  for (Dim d : example.shape.dims()) shape.append(d);
  return {example.dtype, shape};
}

}  // namespace

Dataset::Dataset(std::shared_ptr<const Source> source) : source_(std::move(source)) {
  if (source_) return;
  ErrorBuilder(ErrorId::invalid_use, "data set", "there is no source").fix("give a source of examples").raise();
}

std::int64_t Dataset::size() const {
  std::int64_t size = source_->size();
  for (const Step& step : steps_) size = step.take ? std::min(*step.take, size) : size;
  return size;
}

std::int64_t Dataset::reach() const {
  std::int64_t size = source_->size();
  for (const Step& step : steps_) {
    if (!step.take) break;
    size = std::min(*step.take, size);
  }
  return size;
}

std::vector<std::int64_t> Dataset::order(std::int64_t number) const {
  std::vector<std::int64_t> order(static_cast<std::size_t>(reach()));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  bool shuffled = false;
  for (const Step& step : steps_) {
    if (step.take) {
      order.resize(std::min(order.size(), static_cast<std::size_t>(*step.take)));
      continue;
    }
    const RandomKey key{step.shuffle.seed, step.shuffle.stream + static_cast<std::uint64_t>(number)};
    std::vector<std::int64_t> next = random_order(key, static_cast<std::int64_t>(order.size()));
    if (shuffled) {
      for (std::int64_t& i : next) i = order[static_cast<std::size_t>(i)];
    }
    order = std::move(next);
    shuffled = true;
  }
  return order;
}

TensorSpec Dataset::features() const {
  if (!prepare_) return source_->features();
  const Tensor sample = prepare_(Tensor::abstract(batched(source_->features(), 1)));
  Shape shape;
  for (int d = 1; d < sample.rank(); ++d) shape.append(sample.shape().dim(d));
  return {sample.dtype(), shape};
}

TensorSpec Dataset::labels() const { return source_->labels(); }

Dataset Dataset::take(std::int64_t n) const {
  source_.check({});
  if (n < 0) {
    ErrorBuilder(ErrorId::invalid_attribute, "take", std::to_string(n) + " examples are asked for")
        .fix("give a number of 0 or more")
        .raise();
  }
  Dataset limited = *this;
  limited.steps_.push_back({.take = n, .shuffle = {}});
  return limited;
}

Dataset Dataset::shuffle(RandomKey key) const {
  source_.check({});
  Dataset shuffled = *this;
  shuffled.steps_.push_back({.take = std::nullopt, .shuffle = key});
  return shuffled;
}

Dataset Dataset::prepare(std::function<Tensor(const Tensor&)> features) const {
  source_.check({});
  if (!features)
    ErrorBuilder(ErrorId::invalid_use, "prepare", "there is no function").fix("give one of tensors").raise();
  Dataset prepared = *this;
  if (!prepare_) {
    prepared.prepare_ = std::move(features);
  } else {
    prepared.prepare_ = [first = prepare_, second = std::move(features)](const Tensor& x) { return second(first(x)); };
  }
  return prepared;
}

struct Dataset::Pass::State {
  Dataset dataset;
  Device device;
  std::int64_t batch_size;
  bool drop_last;
  std::vector<std::int64_t> order;
  std::size_t position = 0;
  std::optional<Batch> upcoming;  // already on the device while the caller uses the current batch

  // Where the batch begins that next() gives.
  std::size_t next_begin() const { return upcoming ? position - static_cast<std::size_t>(upcoming->size()) : position; }

  std::optional<Batch> upload() {
    const std::size_t left = order.size() - position;
    const std::size_t count = std::min(left, static_cast<std::size_t>(batch_size));
    if (count == 0 || (drop_last && count < static_cast<std::size_t>(batch_size))) return std::nullopt;
    const Source& source = dataset.source();
    const auto n = static_cast<std::int64_t>(count);
    const CallSite where = CallSite::current();
    std::optional<HostFill> features, labels;
    {
      MemoryOwnerScope owner(MemoryOwner::data);
      NameScope scope("data");
      const BlockPurpose purpose{.label = "tensor", .where = &where};
      features.emplace(device.state(), batched(source.features(), n), purpose);
      labels.emplace(device.state(), batched(source.labels(), n), purpose);
    }
    // Straight into the device's memory if the host sees it, else into memory that the device's queue reads.
    source.copy(std::span(order).subspan(position, count), features->data(), labels->data());
    position += count;
    Batch batch{Tensor::adopt(features->finish(where).detach()), Tensor::adopt(labels->finish(where).detach())};
    return batch;
  }
};

Dataset::Pass::Pass(const Dataset& dataset, std::int64_t batch_size, Device device, std::int64_t number,
                    bool drop_last) {
  if (batch_size < 1) {
    ErrorBuilder(ErrorId::invalid_attribute, "batches", "the batch size is " + std::to_string(batch_size))
        .fix("batch sizes are 1 or more")
        .raise();
  }
  state_ = std::make_unique<State>(State{dataset, device, batch_size, drop_last, {}, 0, std::nullopt});
  state_->order = dataset.order(number);
}

Dataset::Pass::~Pass() = default;
Dataset::Pass::Pass(Pass&&) noexcept = default;

std::int64_t Dataset::Pass::batch_count() const {
  const auto n = static_cast<std::int64_t>(state_->order.size());
  const std::int64_t whole = n / state_->batch_size;
  return state_->drop_last || n % state_->batch_size == 0 ? whole : whole + 1;
}

void Dataset::Pass::seek(std::int64_t batch) {
  if (batch < 0 || batch > batch_count()) {
    ErrorBuilder(ErrorId::index_out_of_range, "seek",
                 "batch " + std::to_string(batch) + " of " + std::to_string(batch_count()))
        .fix("batches are counted from 0")
        .raise();
  }
  state_->upcoming.reset();
  state_->position = std::min(static_cast<std::size_t>(batch * state_->batch_size), state_->order.size());
}

// Copies the next batch before the current one is used, so that an asynchronous device can overlap copy and
// computation.
std::optional<Batch> Dataset::Pass::next() {
  NoGradient pause;
  const std::size_t begin = state_->next_begin();
  try {
    std::optional<Batch> current = state_->upcoming ? std::move(state_->upcoming) : state_->upload();
    state_->upcoming.reset();
    if (!current) return std::nullopt;
    if (state_->dataset.prepare_) {
      MemoryOwnerScope owner(MemoryOwner::data);
      current->features = state_->dataset.prepare_(current->features);
    }
    state_->upcoming = state_->upload();
    return current;
  } catch (...) {
    state_->position = begin;  // so that the next call gives this batch
    throw;
  }
}

}  // namespace lockstep::data
