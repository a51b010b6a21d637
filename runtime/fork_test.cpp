// Tests of forked processes. Each case runs in a new process, because it depends on which devices are open.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <functional>
#include <sstream>

#include "lockstep/lockstep.h"
#include "runtime/may_fork.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

constexpr unsigned max_seconds = 60;  // an alarm ends a child that hangs

// Runs `work` in a forked child; returns true if it returns true.
bool holds_in_child(const std::function<bool()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(max_seconds);
    bool good = false;
    try {
      good = work();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "in the child: %s\n", e.what());
    }
    std::fflush(stderr);
    _exit(good ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) std::fprintf(stderr, "the child was ended by signal %d\n", WTERMSIG(status));
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool is_refused(const char* what, std::int64_t n, const std::function<void()>& use) {
  try {
    use();
    std::fprintf(stderr, "%s of %lld elements worked in a forked child\n", what, static_cast<long long>(n));
  } catch (const StateError& e) {
    if (e.id() == ErrorId::used_after_fork) return true;
    std::fprintf(stderr, "%s: %s\n", what, e.what());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", what, e.what());
  }
  return false;
}

// Tries everything that uses a device, with tensors and variables from the parent.
bool everything_is_refused(Device device, std::int64_t n) {
  const DeviceScope scope(device);
  const Device other(device.name() == "reference:0" ? "cpu" : "reference");
  const Tensor x = ones({n, 2}), index({0, 1});
  Variable v(x * 2.0f, "v"), held(x * 3.0f, "held");
  const Tensor reading = held.read();
  const Stream stream = Stream::create(device);
  optim::Optimizer sgd(optim::Sgd{}), adam(optim::Adam{});
  const std::vector<float> numbers(static_cast<std::size_t>(n), 1.0f);
  GradientTape tape;
  const Tensor y = sum(v * v);
  sum(x).item<float>();
  const std::vector<std::pair<const char*, std::function<void()>>> uses = {
      {"zeros", [&] { zeros({n}); }},
      {"a tensor of numbers", [&] { Tensor(numbers, Shape{n}); }},
      {"an op", [&] { x + 1.0f; }},
      {"a product", [&] { matmul(x, transpose(x)); }},
      {"random numbers", [&] { random_normal({n}); }},
      {"assign", [&] { v.assign(x); }},
      {"assign to a variable that was read", [&] { held.assign(x); }},
      {"assign_add", [&] { v.assign_add(x); }},
      {"apply of Sgd", [&] { sgd.apply(std::span(&x, 1), std::span(&v, 1)); }},
      {"apply of Adam", [&] { adam.apply(std::span(&x, 1), std::span(&held, 1)); }},
      {"a gradient", [&] { tape.gradient(y, v); }},
      {"to_vector", [&] { x.to_vector<float>(); }},
      {"to_vector of a view", [&] { transpose(x).to_vector<float>(); }},
      {"to_bytes", [&] { x.to_bytes(); }},
      {"item", [&] { y.item<float>(); }},
      {"read of a variable", [&] { v.read().to_vector<float>(); }},
      {"printing", [&] { std::ostringstream() << x; }},
      {"a move to another device", [&] { x.to(other); }},
      {"synchronize", [&] { synchronize(device); }},
      {"release_cached_memory", [&] { release_cached_memory(device); }},
      {"memory_stats", [&] { memory_stats(device); }},
      {"reset_peak_memory", [&] { reset_peak_memory(device); }},
      {"set_memory_limit", [&] { set_memory_limit(device, std::nullopt); }},
      {"set_memory_poison", [&] { set_memory_poison(device, false); }},
      {"the list of devices", [&] { devices(); }},
      {"a device's name", [&] { Device(device.name()); }},
      {"the best device", [&] { best_device(); }},
      {"a new variable", [&] { Variable(1.0f, "late"); }},
      {"a variable of the parent's tensor", [&] { Variable(x, "shared"); }},
      {"a gather", [&] { gather(x, index); }},
      {"a sum over nothing", [&] { sum(zeros({0})); }},
      {"a new stream", [&] { Stream::create(device); }},
      {"the default stream", [&] { Stream::default_of(device); }},
      {"a stream's scope", [&] { const StreamScope in(stream); }},
      {"synchronize of a stream", [&] { stream.synchronize(); }},
  };
  return holds_in_child([&] {
    bool all = true;
    for (const auto& [what, use] : uses) all = is_refused(what, n, use) && all;
    const std::vector<Tensor> copies(3, x);  // handles can still be copied and destroyed
    const std::vector<Stream> streams(3, stream);
    return all && copies[2].shape() == x.shape();
  });
}

bool works(Device device) {
  const DeviceScope scope(device);
  const Tensor x = full({1 << 17}, 2.0);
  Variable v(x, "v");
  v.assign(x * 3.0f);
  return sum(v.read()).item<float>() == 6.0f * (1 << 17) && (x + 1.0f).to_vector<float>()[77] == 3.0f;
}

class Forked : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!may_fork) GTEST_SKIP() << "not under this sanitizer";
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
};

[[noreturn]] void leave(bool good) {
  std::fflush(stderr);
  _exit(good ? 0 : 1);
}

TEST_P(Forked, AChildGetsAnErrorWhateverItDoes) {
  const Device device(GetParam());
  for (std::int64_t n : {std::int64_t{2}, std::int64_t{1} << 19}) {
    EXPECT_EXIT(leave(everything_is_refused(device, n)), testing::ExitedWithCode(0), "") << n;
  }
}

TEST_P(Forked, AChildOfAParentThatOnlyListedDevicesMayUseThem) {
  const Device device(GetParam());  // named, but not opened
  EXPECT_EXIT(leave(!devices().empty() && holds_in_child([&] { return works(device); }) && works(device) &&
                    holds_in_child([&] { return is_refused("an op", 1, [] { zeros({1}); }); })),
              testing::ExitedWithCode(0), "");
}

// The grandchild of a process: its parent has opened a device, its grandparent has not.
TEST_P(Forked, AGrandchildIsAChild) {
  const Device device(GetParam());
  EXPECT_EXIT(leave(holds_in_child([&] {
                return works(device) && holds_in_child([] { return is_refused("an op", 1, [] { zeros({1}); }); });
              })),
              testing::ExitedWithCode(0), "");
}

TEST_P(Forked, AParentWorksOn) {
  const Device device(GetParam());
  EXPECT_EXIT(leave(works(device) && holds_in_child([] { return true; }) && works(device)), testing::ExitedWithCode(0),
              "");
}

INSTANTIATE_TEST_SUITE_P(Devices, Forked, testing::ValuesIn(available_devices()), &by_device);

TEST(ForkedPool, AChildOfAParentThatUsedThePoolWorksAlone) {
  if (!may_fork) GTEST_SKIP() << "not under this sanitizer";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto total = [] {
    std::atomic<std::int64_t> sum{0};
    parallel_for(1'000'000, 1, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; });
    return sum.load();
  };
  EXPECT_EXIT(leave([&] {
                set_thread_count(4);
                return total() == 1'000'000 && holds_in_child([&] { return total() == 1'000'000; });
              }()),
              testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace lockstep
