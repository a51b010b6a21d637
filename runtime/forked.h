// Detects child processes that were forked while the parent had devices open.
#pragma once

#include <atomic>

namespace lockstep {

/// Set in a forked child whose parent had a device open. The driver's threads, locks and queues belong to the parent.
extern std::atomic<bool> in_forked_child;

[[noreturn]] void raise_forked();

/// Throws StateError LS1003 in such a child. Called before work is enqueued, memory is allocated or a value is read,
/// and before any lock is taken: another thread of the parent may have held the lock at the fork.
inline void check_not_forked() {
  if (in_forked_child.load(std::memory_order_relaxed)) [[unlikely]]
    raise_forked();
}

/// While it exists, counts one device as open or being opened.
class OpenDevice {
 public:
  OpenDevice();
  ~OpenDevice();
  OpenDevice(const OpenDevice&) = delete;
  OpenDevice& operator=(const OpenDevice&) = delete;
};

/// The number of forks without an open device in the ancestry of this process. A driver that was opened at a lower
/// number belongs to the parent.
unsigned fork_generation();

}  // namespace lockstep
