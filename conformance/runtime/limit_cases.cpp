// Memory limits, exhaustion and fault injection through the public runtime, on the tested device.
#include <optional>

#include "conformance/runtime/check.h"
#include "conformance/runtime/runtime_device.h"
#include "conformance/runtime/suites.h"
#include "lockstep/lockstep.h"
#include "lockstep/testing.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

// Removes the memory limit and the cached memory at the end of the scope.
struct LimitScope {
  explicit LimitScope(Device d) : device(d) { release_cached_memory(device); }
  ~LimitScope() {
    set_memory_limit(device, std::nullopt);
    release_cached_memory(device);
  }
  Device device;
};

// Turns memory poisoning off until the end of the scope: on a free, the runtime ignores a poisoning fill that fails, so
// a fault that is injected there would cause no error.
struct UnpoisonedScope {
  explicit UnpoisonedScope(Device d) : device(d) { set_memory_poison(device, false); }
  ~UnpoisonedScope() { set_memory_poison(device, option("memory.poison") == "1"); }
  Device device;
};

std::optional<std::string> out_of_memory(std::int64_t elements) {
  try {
    zeros({elements}).to_vector<float>();
    return std::nullopt;
  } catch (const OutOfMemoryError& e) {
    check(e.id() == ErrorId::out_of_memory, std::string("running into a limit is another error: ") + e.what());
    return e.what();
  }
}

void limit_is_exact(const RuntimeTarget& target) {
  const Device device = runtime_device(target);
  const DeviceScope on(device);
  const LimitScope limit(device);
  for (std::int64_t bytes : {std::int64_t{1} << 20, std::int64_t{3} << 20}) {
    release_cached_memory(device);
    const u64 held = memory_stats(device).reserved, needed = static_cast<u64>(bytes);
    for (u64 allowed : {needed, needed - 1, needed}) {
      release_cached_memory(device);
      set_memory_limit(device, held + allowed);
      const auto failure = out_of_memory(bytes / 4);
      check(failure.has_value() == (allowed < needed),
            text("%lld bytes under a limit of %lld: %s", static_cast<long long>(bytes), static_cast<long long>(allowed),
                 failure ? failure->c_str() : "no error"));
    }
    release_cached_memory(device);
    check(memory_stats(device).reserved == held, "memory is held after all tensors are gone");
  }
}

void report_and_recovery(const RuntimeTarget& target) {
  const Device device = runtime_device(target);
  const DeviceScope on(device);
  const LimitScope limit(device);
  const u64 live = memory_stats(device).live;
  set_memory_limit(device, memory_stats(device).reserved + (4 << 20));
  for (int round = 0; round < 20; ++round) {
    const Tensor held = zeros({1 << 18});  // 1 MiB
    const auto failure = out_of_memory(1 << 20);
    check(failure.has_value(), "5 MiB fit under a limit of 4 MiB");
    for (const char* part : {"4.00 MiB", "the limit of", "activations 1.00 MiB"}) {
      check(failure->find(part) != std::string::npos, std::string("the report lacks \"") + part + "\": " + *failure);
    }
    check(!out_of_memory(1 << 19), "2 MiB do not fit beside 1 MiB under a limit of 4 MiB after a failure");
    check(held.to_vector<float>() == std::vector<float>(1 << 18, 0.0f), "a tensor changed when memory ran out");
  }
  synchronize(device);
  check(memory_stats(device).live == live, "memory is in use after all tensors are gone");
}

void impossible_sizes(const RuntimeTarget& target) {
  const Device device = runtime_device(target);
  const DeviceScope on(device);
  for (std::int64_t n : {std::int64_t{1} << 50, std::int64_t{1} << 60}) {
    try {
      zeros({n});
      throw CheckFailed("a tensor of 2^50 elements or more was made");
    } catch (const OutOfMemoryError& e) {
      check(e.id() == ErrorId::impossible_size, std::string("an impossible size is another error: ") + e.what());
    }
  }
  check(ones({2}).to_vector<float>()[1] == 1.0f, "after impossible sizes the device does not work");
}

using State = std::vector<std::vector<std::byte>>;

nn::Model small_model(Device device) {
  set_seed(5);
  nn::Model model(nn::Sequential(nn::Dense{.units = 7}, nn::Relu{}, nn::Dense{.units = 4}));
  model.build({6}, device);
  model.compile({.optimizer = optim::Adam{.learning_rate = 0.01}, .loss = losses::SparseCategoricalCrossentropy{}});
  return model;
}

State state_of(nn::Model& model) {
  State all;
  for (const Variable& v : model.variables()) all.push_back(v.read().to_bytes());
  for (const Variable& v : model.optimizer().state()) all.push_back(v.read().to_bytes());
  return all;
}

// Runs one training step with its k-th fault point failing. Returns whether the step reached that point.
bool step_with_fault(Device device, const data::Batch& batch, u64 k, const State& expected) {
  nn::Model model = small_model(device);
  const State before = state_of(model);
  release_cached_memory(device);  // so that native allocations are among the fault points
  const u64 live = memory_stats(device).live;
  std::optional<Error> error;
  std::string site;
  bool fired = false, is_enqueued = false;
  {
    FaultInjection fault(k);
    try {
      model.train_step(batch);
      is_enqueued = true;
      synchronize(device);
    } catch (const Error& e) {
      error = e;
    }
    fired = fault.fired();
    site = fault.site();
  }
  const std::string point = text("fault point %llu, %s", static_cast<unsigned long long>(k), site.c_str());
  check(error.has_value() == fired,
        point + (error ? std::string(": failed unasked: ") + error->what() : ": the failure was swallowed"));
  if (fired) {
    check(error->id() == ErrorId::out_of_memory || error->id() == ErrorId::driver_failed,
          point + ": another kind of error: " + error->what());
    if (is_enqueued && error->op() == "wait") {  // the step itself succeeded
      check(state_of(model) == expected, point + ": a training step whose wait failed gives other bits");
      return fired;
    }
    check(state_of(model) == before, point + ": a training step that failed changed the model");
    check(memory_stats(device).live == live, point + ": a training step that failed holds memory");
    model.train_step(batch);
  }
  check(state_of(model) == expected, point + ": the step, done again, gives other bits");
  return fired;
}

void training_step(const RuntimeTarget& target) {
  const Device device = runtime_device(target);
  const DeviceScope on(device);
  const UnpoisonedScope unpoisoned(device);
  const data::Batch batch{random_normal({5, 6}, 0, 1, {.key = RandomKey{8, 8}}), Tensor({0, 1, 2, 3, 1})};
  nn::Model undisturbed = small_model(device);
  undisturbed.train_step(batch);
  const State expected = state_of(undisturbed);
  synchronize(device);
  u64 k = 1;
  while (step_with_fault(device, batch, k, expected)) ++k;
  check(k > 20, text("a training step passes %llu fault points only", static_cast<unsigned long long>(k) - 1));
}

}  // namespace

std::vector<RuntimeCase> limit_cases() {
  return {
      {"memory", "limit_is_exact", "a memory limit holds to the byte, and what fits is given", &limit_is_exact},
      {"memory", "report_and_recovery", "running into a limit tells who holds the memory, and leaves all as it was",
       &report_and_recovery},
      {"memory", "impossible_sizes", "sizes that no device has are told apart from memory that ran out",
       &impossible_sizes},
      {"fault", "training_step", "a training step that fails anywhere changes nothing, and then gives the same bits",
       &training_step},
  };
}

}  // namespace lockstep::conformance
