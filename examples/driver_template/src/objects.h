// The structs behind the opaque handles of driver.h. The host creates and destroys them only through the driver's
// table.
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
  // Add your context, allocator and compiler handles here.
};

// A block of device memory. It is host memory here; in your driver it is a device pointer or a handle.
struct lks_buffer {
  char* memory;
  std::uint64_t bytes;
};

// A counter that only grows, or fails. Each queue has one. The host also creates timelines of its own and signals them.
struct lks_timeline {
  explicit lks_timeline(const lks_host_api& h, bool queues = false) : host(h), of_queue(queues) {}

  // Returns LKS_OK once `value` is reached, the failure if the timeline fails before that, or LKS_TIMEOUT.
  lks_status wait(std::uint64_t value, std::uint64_t timeout_ns, lks_diag* diag);

  // Called by the queue that owns the timeline.
  void reach(std::uint64_t value);
  void fail_at(std::uint64_t value, const lks_diag& why);
  void recover(std::uint64_t newest);
  bool has_failed();

  const lks_host_api& host;
  const bool of_queue;
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t reached = 0;
  bool failed = false;
  lks_diag failure{};
};

// A prepared kernel. It is immutable: launches on several threads may share it.
struct lks_kernel {
  virtual ~lks_kernel() = default;
  // Checks the input data that decides whether the launch can run. Called before anything is written.
  virtual lks_status check(const lks_launch&, lks_diag*) const { return LKS_OK; }
  virtual void run(const lks_launch& launch) const = 0;

  // Tensor i of a launch: inputs first, then outputs.
  Tensor tensor(const lks_launch& launch, std::size_t i) const {
    const lks_binding& b = launch.bindings[i];
    return {b.buffer->memory + b.offset * bytes_of(dtypes[i]), b.dims, b.strides, ranks[i], dtypes[i]};
  }

  std::vector<lks_dtype> dtypes;
  std::vector<int> ranks;
};
