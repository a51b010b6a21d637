// Repeated calls allocate no memory on the host but the objects of their results, on every device.
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "lockstep/lockstep.h"
#include "runtime/counted_allocations.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

class Allocations : public testing::TestWithParam<std::string> {
 protected:
  // Of one call, after the first ones; of several, because a table may grow now and then.
  static double per_call(const Device& device, const std::function<void()>& call) {
    constexpr int warm_up = 20, calls = 100;
    for (int i = 0; i < warm_up; ++i) call();
    synchronize(device);
    const long before = allocations();
    for (int i = 0; i < calls; ++i) call();
    return static_cast<double>(allocations() - before) / calls;
  }
};

TEST_P(Allocations, AreThoseOfTheResultsAlone) {
  const Device device(GetParam());
  const DeviceScope scope(device);
  const Tensor rows = ones({32, 24}), columns = ones({24, 16});
  const Tensor images = ones({2, 8, 8, 3}), filters = ones({4, 3, 3, 3}), bias = ones({4});
  const Tensor indices = zeros({5}, i64);
  const std::map<std::string, std::function<Tensor()>> calls = {
      {"add", [&] { return rows + rows; }},
      {"matmul", [&] { return matmul(rows, columns); }},
      {"conv2d", [&] { return conv2d(images, filters, bias); }},
      {"max_pool2d", [&] { return max_pool2d(images); }},
      {"sum", [&] { return sum(rows, {.axes = {0}}); }},
      {"softmax", [&] { return softmax(rows); }},
      {"gather", [&] { return gather(rows, indices); }},
  };
  // A tensor is an object; so is its block, unless the pool has one.
  std::map<std::string, double> counted;
  for (const auto& [name, call] : calls) {
    counted[name] = per_call(device, [&call] { call(); });
  }
  for (const auto& [name, count] : counted) RecordProperty(name, std::to_string(count));
  for (const auto& [name, count] : counted) EXPECT_LE(count, 1.0) << name << " on " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Devices, Allocations, testing::ValuesIn(available_devices()), by_device);

}  // namespace
}  // namespace lockstep
