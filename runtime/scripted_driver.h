// A fake driver for tests: a table whose objects can be opened and closed. The test adds the functions that it checks.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>

#include "runtime/device_state.h"
#include "runtime/driver_loader.h"
#include "runtime/driver_registry.h"

namespace lockstep {

/// A handle that is never dereferenced.
template <class T>
T* any_handle() {
  static int something;
  return reinterpret_cast<T*>(&something);
}

inline lks_driver_api scripted_driver() {
  lks_driver_api t{};
  t.name = "scripted";
  t.flags = LKS_DRIVER_UNLOADABLE;
  t.driver_open = [](const lks_host_api*, lks_driver** out, lks_diag*) -> lks_status {
    *out = any_handle<lks_driver>();
    return LKS_OK;
  };
  t.driver_close = [](lks_driver*) {};
  t.device_open = [](lks_driver*, std::uint32_t, lks_device** out, lks_diag*) -> lks_status {
    *out = any_handle<lks_device>();
    return LKS_OK;
  };
  t.device_close = [](lks_device*) {};
  t.queue_create = [](lks_device*, std::uint32_t, lks_queue** queue, lks_timeline** timeline, lks_diag*) -> lks_status {
    *queue = any_handle<lks_queue>();
    *timeline = any_handle<lks_timeline>();
    return LKS_OK;
  };
  t.queue_destroy = [](lks_queue*) {};
  return t;
}

/// The only device of a scripted driver, opened on first use.
class ScriptedDevice {
 public:
  ScriptedDevice(const lks_driver_api& table, std::uint64_t capabilities, std::uint32_t alignment = 64,
                 std::uint64_t max_tensor_bytes = 0) {
    driver_.api = &table;
    lks_device_info info{};
    info.capabilities = capabilities;
    info.min_alignment = alignment;
    info.max_tensor_bytes = max_tensor_bytes;
    info.math_modes = 1u << LKS_MODE_STRICT;
    driver_.devices = {info};
    EXPECT_EQ(driver_.open(), "");
    entry_ = std::make_unique<DeviceEntry>(driver_, 0, "scripted");
  }
  DeviceEntry& entry() { return *entry_; }
  DeviceState& state() { return entry_->state(); }

 private:
  LoadedDriver driver_;
  std::unique_ptr<DeviceEntry> entry_;
};

}  // namespace lockstep
