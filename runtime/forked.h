// Processes that were forked off one that had devices open.
#pragma once

#include <atomic>

namespace lockstep {

/// Set in a forked child whose parent had a device open: the driver's threads, locks and queues are the parent's.
extern std::atomic<bool> in_forked_child;

[[noreturn]] void raise_forked();

/// Throws StateError LS1003 in such a child. Wherever work is enqueued, memory allocated or a value read, and before
/// any lock is taken there: another thread of the parent may have held it.
inline void check_not_forked() {
  if (in_forked_child.load(std::memory_order_relaxed)) [[unlikely]]
    raise_forked();
}

/// Counts a device that is open, or is being opened.
class OpenDevice {
 public:
  OpenDevice();
  ~OpenDevice();
  OpenDevice(const OpenDevice&) = delete;
  OpenDevice& operator=(const OpenDevice&) = delete;
};

/// How often this process was forked off while no device was open. What a driver opened before is the parent's.
unsigned fork_generation();

}  // namespace lockstep
