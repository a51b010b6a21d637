// Tests of what opening and closing a device does, with a scripted driver that counts its objects.
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

#include "lockstep/lockstep.h"
#include "runtime/scripted_driver.h"

namespace lockstep {
namespace {

struct Objects {
  int devices = 0, queues = 0;
  bool has_queues = true;
};
Objects objects;

const lks_driver_api& table() {
  static const lks_driver_api api = [] {
    lks_driver_api t = scripted_driver();
    t.device_open = [](lks_driver*, std::uint32_t, lks_device** out, lks_diag*) -> lks_status {
      ++objects.devices;
      *out = any_handle<lks_device>();
      return LKS_OK;
    };
    t.device_close = [](lks_device*) { --objects.devices; };
    t.queue_create = [](lks_device*, std::uint32_t, lks_queue** queue, lks_timeline** timeline,
                        lks_diag*) -> lks_status {
      if (!objects.has_queues) return LKS_INTERNAL;
      ++objects.queues;
      *queue = any_handle<lks_queue>();
      *timeline = any_handle<lks_timeline>();
      return LKS_OK;
    };
    t.queue_destroy = [](lks_queue*) { --objects.queues; };
    return t;
  }();
  return api;
}

class DeviceOpen : public testing::Test {
 protected:
  void SetUp() override { objects = {}; }
  void TearDown() override {
    set_option("memory.limit", std::nullopt);
    set_option("kernel_cache.capacity", std::nullopt);
  }
};

TEST_F(DeviceOpen, AClosedDeviceLeavesNothing) {
  {
    ScriptedDevice device(table(), 0);
    EXPECT_EQ(objects.devices, 0) << "opened when it is used";
    device.state();
    const Stream stream = Stream::create(device.state().device());
    EXPECT_EQ(objects.devices, 1);
    EXPECT_EQ(objects.queues, 2);
  }
  EXPECT_EQ(objects.queues, 0);
  EXPECT_EQ(objects.devices, 0);
}

TEST_F(DeviceOpen, TheLimitIsThatOfTheOption) {
  ScriptedDevice without(table(), 0);
  EXPECT_EQ(without.state().allocator().stats().limit, std::nullopt);
  set_option("memory.limit", "1MiB");
  ScriptedDevice with(table(), 0);
  EXPECT_EQ(with.state().allocator().stats().limit, std::uint64_t{1} << 20);
}

TEST_F(DeviceOpen, ADeviceThatCannotBeOpenedIsClosedAndMayBeTriedAgain) {
  ScriptedDevice device(table(), 0);
  set_option("memory.limit", "much");
  EXPECT_THROW(device.state(), UsageError);
  EXPECT_EQ(objects.queues, 0);
  EXPECT_EQ(objects.devices, 0);
  set_option("memory.limit", std::nullopt);
  set_option("kernel_cache.capacity", "0");
  EXPECT_THROW(device.state(), UsageError);
  EXPECT_EQ(objects.queues, 0);
  EXPECT_EQ(objects.devices, 0);
  set_option("kernel_cache.capacity", std::nullopt);
  objects.has_queues = false;
  EXPECT_THROW(device.state(), DeviceError);
  EXPECT_EQ(objects.devices, 0);
  objects.has_queues = true;
  EXPECT_NO_THROW(device.state());
  EXPECT_EQ(objects.devices, 1);
}

}  // namespace
}  // namespace lockstep
