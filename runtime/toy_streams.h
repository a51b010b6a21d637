// What tests of streams share: two streams on the toy, a call that fails late, and expected values.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "lockstep/lockstep.h"
#include "runtime/toy_device.h"

namespace lockstep {

inline std::vector<float> all(std::int64_t count, float value) {
  return std::vector<float>(static_cast<std::size_t>(count), value);
}

class ToyStreams : public testing::Test {
 protected:
  void SetUp() override { synchronize(toy()); }
  void TearDown() override {
    set_option("toy.delay_us", std::nullopt);
    EXPECT_NO_THROW(synchronize(toy())) << "a failure was left over";
  }
  static void be_slow() { set_option("toy.delay_us", "5000"); }

  const DeviceScope scope{toy()};
  const Stream a = Stream::create(toy()), b = Stream::create(toy());
  const Tensor table = ones({3, 4});
};

}  // namespace lockstep
