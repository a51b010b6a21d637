// An open device: its memory, queue and kernels.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "lockstep/driver_provisional.h"
#include "runtime/command_queue.h"
#include "runtime/forked.h"
#include "runtime/kernel_cache.h"
#include "runtime/memory/allocator.h"

namespace lockstep {

class DeviceEntry;

/// Counts how ops were executed on a device.
struct DispatchCounters {
  std::atomic<std::uint64_t> decompositions{0};  // calls that were decomposed because there was no kernel
  std::atomic<std::uint64_t> layout_copies{0};   // operands that were copied because no kernel accepted their strides
};

/// Counts bytes on their way from the host to a device.
struct UploadCounters {
  std::atomic<std::uint64_t> staged{0};   // copied into host memory of the runtime, for a queue to read later
  std::atomic<std::uint64_t> written{0};  // given to the device's queue, which copies them
  std::atomic<std::uint64_t> mapped{0};   // written straight into the device's memory by whoever produced them
};

class DeviceState {
 public:
  /// Opens the device; throws DeviceError LS3003.
  explicit DeviceState(const DeviceEntry& entry);
  ~DeviceState();
  DeviceState(const DeviceState&) = delete;
  DeviceState& operator=(const DeviceState&) = delete;

  const lks_driver_api& api() const { return api_; }
  lks_device* handle() const { return handle_; }
  const lks_device_info& info() const { return info_; }
  const std::string& name() const;
  const std::string& driver_name() const;
  Device device() const;
  bool offers(MathMode mode) const {
    return mode <= MathMode::lockstep && (info().math_modes & (1u << static_cast<unsigned>(mode)));
  }
  bool host_visible() const;
  /// The driver's functions for memory of others; nullptr if it has none.
  const lks_import_export_group* import_group() const { return import_group_; }
  /// The driver's limit for the bytes of one tensor.
  std::uint64_t max_tensor_bytes() const { return max_tensor_bytes_; }

  Allocator& allocator() { return *allocator_; }
  CommandQueue& queue() { return *queue_; }
  KernelCache& kernels() { return *kernels_; }
  DispatchCounters counters;
  UploadCounters uploads;

  void synchronize() { queue_->synchronize(); }
  void wait_idle() noexcept {
    if (queue_) queue_->wait_idle();
  }
  void poison(Block& block);

  std::uint64_t memory_total() const;
  std::optional<std::uint64_t> memory_free() const;

 private:
  const OpenDevice counted_;
  const DeviceEntry& entry_;
  const lks_driver_api& api_;
  const lks_device_info& info_;  // the entry's
  lks_device* handle_ = nullptr;
  const lks_import_export_group* import_group_ = nullptr;
  std::uint64_t max_tensor_bytes_;
  std::unique_ptr<Allocator> allocator_;
  std::unique_ptr<CommandQueue> queue_;
  std::unique_ptr<KernelCache> kernels_;
};

}  // namespace lockstep
