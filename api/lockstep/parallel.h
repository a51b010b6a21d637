// CPU parallelism: the parallel_for that every driver and the runtime use.
#pragma once

#include <cstdint>
#include <functional>

#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

/// Sets the number of threads for CPU work; 0 restores the default: LOCKSTEP_THREADS, else OMP_NUM_THREADS, else all
/// cores that the process may use. It applies to all threads of the application from their next op on, except within a
/// ThreadCountScope.
void set_thread_count(unsigned count);
/// The number that holds for the calling thread.
unsigned thread_count();

/// Until the end of the scope, ops of this thread use `count` threads for CPU work, such as 1 on each of many threads
/// that serve requests. 0: as many as the application's setting says.
///
/// Threads share kernels. Some kernels of the device `cpu` are divided for the number of threads that the application
/// had set when they were first needed, or for that of the first call's scope if it was larger. They use no more later.
class [[nodiscard]] ThreadCountScope {
 public:
  explicit ThreadCountScope(unsigned count);
  ~ThreadCountScope();
  ThreadCountScope(const ThreadCountScope&) = delete;
  ThreadCountScope& operator=(const ThreadCountScope&) = delete;

 private:
  unsigned previous_;
};

/// Splits [0, n) into disjoint ranges, each at least `grain` long except the last, and calls body(begin, end) for each.
/// Returns when all calls are done. The calls run concurrently. Which thread runs which range is unspecified, so the
/// result must not depend on it. The first exception that a call throws is rethrown here. Nested calls of parallel_for
/// run on the calling thread.
void parallel_for(std::int64_t n, std::int64_t grain, const std::function<void(std::int64_t, std::int64_t)>& body);

/// Makes parallel_for use the application's own thread pool: `run(n, piece)` must call piece(0) … piece(n-1), possibly
/// concurrently, and return when all calls are done. An empty function restores the built-in pool.
void set_parallel_runner(std::function<void(unsigned n, const std::function<void(unsigned)>& piece)> run);

}  // namespace lockstep
