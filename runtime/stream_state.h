// The state behind a Stream handle.
#pragma once

#include "lockstep/stream.h"
#include "runtime/device_state.h"

namespace lockstep {

struct Stream::State {
  State(DeviceState& of, CommandQueue& its_queue, StreamQueue* its_lease)
      : device(of), queue(its_queue), lease(its_lease), first(its_queue.newest() + 1) {}
  /// Waits for nothing, and touches no driver: a forked child may call it.
  ~State() {
    if (lease) lease->leased.store(false, std::memory_order_release);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  /// Waits for the queue. Failures from before the lease are not the stream's.
  void synchronize(const CallSite* where = nullptr) const {
    queue.wait_for_all(where);
    queue.report_from(lease ? first : 0);
  }

  DeviceState& device;
  CommandQueue& queue;
  StreamQueue* const lease;   // nullptr: the device's own queue
  const std::uint64_t first;  // the stream's commands have this value or a later one
};

}  // namespace lockstep
