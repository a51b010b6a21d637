// Sets the number of threads that oneDNN uses: as many as the host's own loops.
#pragma once

#include "lockstep/driver.h"

#if defined(LOCKSTEP_WITH_OPENMP)
#include <omp.h>
#endif

namespace cpu::onednn {

#if defined(LOCKSTEP_WITH_OPENMP)

/// The number of threads that a team started by this thread would have.
inline int usable_threads(const lks_host_api& api) {
  if (omp_in_parallel()) return 1;  // a nested team gets one thread, whatever number oneDNN planned for
  const int wanted = static_cast<int>(api.thread_count(api.host)), limit = omp_get_thread_limit();
  return wanted < limit ? wanted : limit;
}

/// The number of threads that oneDNN currently uses on this thread.
inline int current_threads() { return omp_get_max_threads(); }

/// Gives this thread's teams exactly `count` threads; the destructor restores the application's settings.
class ThreadScope {
 public:
  explicit ThreadScope(int count) : count_(omp_get_max_threads()), dynamic_(omp_get_dynamic()) {
    changed_ = count_ != count;
    if (changed_) omp_set_num_threads(count);
    if (dynamic_) omp_set_dynamic(0);  // a team smaller than planned would leave work undone
  }
  ~ThreadScope() {
    if (changed_) omp_set_num_threads(count_);
    if (dynamic_) omp_set_dynamic(dynamic_);
  }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int count_, dynamic_;
  bool changed_;
};

#else

inline int usable_threads(const lks_host_api&) { return 1; }
inline int current_threads() { return 1; }

class ThreadScope {
 public:
  explicit ThreadScope(int) {}
};

#endif

}  // namespace cpu::onednn
