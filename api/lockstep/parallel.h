// CPU parallelism: one parallel_for serves every driver and the runtime.
#pragma once

#include <cstdint>
#include <functional>

#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

/// Threads that CPU work uses; 0 restores the default: LOCKSTEP_THREADS, else OMP_NUM_THREADS, else all cores that the
/// process may use. Applies to all threads of the application from their next op on.
void set_thread_count(unsigned count);
unsigned thread_count();

/// Calls body(begin, end) for pieces of [0, n) that together cover it once, each at least `grain` long but for the
/// last, and returns when all are done. Pieces run concurrently; which thread runs which piece is not specified, so a
/// body's result must not depend on it. The first exception that a body throws is rethrown here. Nested calls run on
/// the calling thread.
void parallel_for(std::int64_t n, std::int64_t grain, const std::function<void(std::int64_t, std::int64_t)>& body);

/// Lets the host application's own pool run the pieces: `run(n, piece)` must call piece(0) … piece(n-1), concurrently
/// if it likes, and return when all are done. An empty function restores the built-in pool.
void set_parallel_runner(std::function<void(unsigned n, const std::function<void(unsigned)>& piece)> run);

}  // namespace lockstep
