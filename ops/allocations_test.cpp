// Repeated calls allocate no memory on the host, on any device: tensors, blocks, commands and the lists that a launch
// needs are reused.
#include <gtest/gtest.h>

#include <barrier>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "lockstep/lockstep.h"
#include "runtime/counted_allocations.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool reuses_tensors = false;  // see the free list in runtime/tensor.cpp
#else
constexpr bool reuses_tensors = true;
#endif

// A table, or a batch of commands, that is needed now and then.
constexpr double seldom = 0.1;

// What oneDNN 3.2 itself allocates at a launch, at most; no argument of its API avoids it. For each primitive, it
// copies the arguments into a map (a table, and a node per argument), and each parallel loop may be a function object.
// It was 13 for a conv2d with bias, which is two primitives. Its memory objects, which the driver keeps, would be some
// 30 more.
constexpr double of_onednn = 16;

// What a call may allocate on a device, in the mean.
double allowed(const std::string& driver, const std::string& call) {
  double more = 0;
  if (call == "sum") more = 1;  // the list of axes, which the caller makes
  if (driver == "cpu" && (call == "conv2d" || call == "large_matmul")) more = of_onednn;
  // softmax and conv2d with bias have no kernels there. At most one allocation for each of the calls of which they are
  // made.
  if (driver == "reference" && call == "conv2d") more = 2;
  if (driver == "reference" && call == "softmax") more = 5;
  return more + seldom;
}

class Allocations : public testing::TestWithParam<std::string> {
 protected:
  // Of one call, after the first ones. Queues and tables have been as long before as they are when it is counted.
  static double per_call(const Device& device, const std::function<void()>& call) {
    constexpr int warm_up = 130, calls = 100;
    for (int i = 0; i < warm_up; ++i) call();
    synchronize(device);
    const long before = allocations();
    for (int i = 0; i < calls; ++i) call();
    return static_cast<double>(allocations() - before) / calls;
  }
};

TEST_P(Allocations, RepeatedCallsMakeNone) {
  if (!reuses_tensors) GTEST_SKIP() << "with sanitizers, each tensor is an allocation";
  const Device device(GetParam());
  const DeviceScope scope(device);
  const Tensor rows = ones({32, 24}), columns = ones({24, 16}), square = ones({64, 64});
  const Tensor images = ones({2, 8, 8, 3}), filters = ones({4, 3, 3, 3}), bias = ones({4});
  const Tensor indices = zeros({5}, i64);
  const std::map<std::string, std::function<Tensor()>> calls = {
      {"add", [&] { return rows + rows; }},
      {"conv2d", [&] { return conv2d(images, filters, bias); }},
      {"gather", [&] { return gather(rows, indices); }},
      {"large_matmul", [&] { return matmul(square, square); }},
      {"matmul", [&] { return matmul(rows, columns); }},
      {"max_pool2d", [&] { return max_pool2d(images); }},
      {"softmax", [&] { return softmax(rows); }},
      {"sum", [&] { return sum(rows, {.axes = {0}}); }},
  };
  for (const auto& [name, call] : calls) {
    const double count = per_call(device, [&work = call] { work(); });
    RecordProperty(name, std::to_string(count));
    EXPECT_LE(count, allowed(driver_name_of(GetParam()), name)) << name << " on " << GetParam();
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, Allocations, testing::ValuesIn(available_devices()), by_device);

// One kernel on several threads at once: each launch finds oneDNN's objects of an earlier one.
TEST(AllocationsOfThreads, LaunchesAtOnceReuseWhatTheyNeed) {
  if (!reuses_tensors) GTEST_SKIP() << "with sanitizers, each tensor is an allocation";
  constexpr int thread_count = 4, warm_up = 50, calls = 200;
  std::barrier<> together(thread_count + 1);
  std::vector<std::thread> threads;
  for (int t = 0; t < thread_count; ++t) {
    threads.emplace_back([&together] {
      const DeviceScope scope(Device("cpu"));
      const Tensor square = ones({64, 64});
      for (int i = 0; i < warm_up; ++i) matmul(square, square);
      together.arrive_and_wait();
      together.arrive_and_wait();
      for (int i = 0; i < calls; ++i) matmul(square, square);
      together.arrive_and_wait();
    });
  }
  together.arrive_and_wait();
  const long before = allocations();
  together.arrive_and_wait();
  together.arrive_and_wait();
  const double count = static_cast<double>(allocations() - before) / (thread_count * calls);
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(count, of_onednn + seldom);
}

}  // namespace
}  // namespace lockstep
