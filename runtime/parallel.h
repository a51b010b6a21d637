// The pool behind parallel_for: OpenMP (pool_openmp.cpp) or std::thread (pool_std.cpp), chosen at build time.
#pragma once

#include <cstdint>

#include "lockstep/driver.h"

namespace lockstep {

/// Runs piece(arg, 0) … piece(arg, n-1) on the built-in pool and the calling thread. Returns when all are done.
void run_on_pool(unsigned n, void (*piece)(void* arg, unsigned index), void* arg);

/// Number of cores that this process may run on.
unsigned usable_cores();

/// The number of threads that holds for threads without a ThreadCountScope.
unsigned thread_count_of_application();

/// parallel_for without std::function, for drivers. `fn` must not throw.
void parallel_ranges(std::int64_t n, std::int64_t grain, lks_range_fn fn, void* arg);

}  // namespace lockstep
