// The objects behind the opaque handles of driver.h, as this driver makes them. The host creates and destroys them
// through the driver's table only.
#pragma once

#include <lockstep/driver.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "diag.h"
#include "tensor.h"

struct lks_driver {
  const lks_host_api& host;  // valid until driver_close returns
};

struct lks_device {
  lks_driver& driver;
  std::atomic<std::uint64_t> used_bytes{0};
  // Here: your context, allocator and compiler handles.
};

// A block of device memory. Here it is host memory; yours would be a device pointer or a handle.
struct lks_buffer {
  char* memory;
  std::uint64_t bytes;
};

// A counter that only grows, or fails. Queues have one; the host makes others and signals them itself.
struct lks_timeline {
  bool of_queue = false;
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t reached = 0;
  bool failed = false;
  lks_diag failure{};
};

// Commands of this queue are done when their call returns (LKS_CAP_INLINE_QUEUE). A queue of real hardware would record
// them here, and a thread or an interrupt would advance the timeline.
struct lks_queue {
  lks_device& device;
  lks_timeline timeline;

  explicit lks_queue(lks_device& d) : device(d) { timeline.of_queue = true; }
  // The command that has just been done takes the next value of the timeline.
  std::uint64_t completed();
};

// A prepared kernel. Immutable: launches on several threads may share it.
struct lks_kernel {
  virtual ~lks_kernel() = default;
  // Looks at the data that decides whether the launch can be done at all, before anything is written.
  virtual lks_status check(const lks_launch&, lks_diag*) const { return LKS_OK; }
  virtual void run(const lks_launch& launch) const = 0;

  // Tensor i of a launch: inputs, then outputs.
  Tensor tensor(const lks_launch& launch, std::size_t i) const {
    const lks_binding& b = launch.bindings[i];
    return {b.buffer->memory + b.offset * bytes_of(dtypes[i]), b.dims, b.strides, ranks[i], dtypes[i]};
  }

  std::vector<lks_dtype> dtypes;
  std::vector<int> ranks;
};
