#include "runtime/parallel.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>

#if defined(__linux__)
#include <sched.h>
#endif
#include <thread>
#include <utility>

#include "api/internal/mutex.h"
#include "lockstep/error.h"
#include "lockstep/options.h"
#include "lockstep/parallel.h"
#include "runtime/library.h"

namespace lockstep {
namespace {

std::atomic<unsigned> requested_threads{0};
thread_local unsigned requested_here = 0;  // by a ThreadCountScope

// True while a piece runs, so that nested calls stay on their thread.
thread_local bool inside_piece = false;

using Runner = std::function<void(unsigned, const std::function<void(unsigned)>&)>;

struct CustomRunner {
  SharedMutex mutex;
  Runner run LOCKSTEP_GUARDED_BY(mutex);
  std::atomic<bool> set{false};
};

CustomRunner& custom_runner() {
  static auto* runner = new CustomRunner;
  return *runner;
}

struct Ranges {
  std::int64_t n;
  unsigned pieces;
  lks_range_fn fn;
  void* arg;

  static void run_piece(void* self, unsigned index) {
    const auto& r = *static_cast<const Ranges*>(self);
    const bool outer = inside_piece;
    inside_piece = true;
    r.fn(r.arg, r.n * index / r.pieces, r.n * (index + 1) / r.pieces);
    inside_piece = outer;
  }
};

}  // namespace

namespace {

std::atomic<bool> pool_lost{false};

// Whether a parent process used the pool before the fork. The pool's threads do not exist in this process, so the
// calling thread then does all the work.
bool pool_is_the_parents() {
  static const bool told = [] {
    on_fork_in_child([] { pool_lost = true; });
    return true;
  }();
  static_cast<void>(told);
  return pool_lost.load(std::memory_order_relaxed);
}

}  // namespace

unsigned usable_cores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

void set_thread_count(unsigned count) { requested_threads = count; }

namespace {

// LOCKSTEP_THREADS, else OMP_NUM_THREADS, which users expect to work as with OpenMP, else all cores.
unsigned default_thread_count() {
  const char* openmp = std::getenv("OMP_NUM_THREADS");
  const std::string text = option("threads").value_or(openmp ? openmp : "");
  const int count = std::atoi(text.c_str());
  if (count >= 1 && count <= 4096) return static_cast<unsigned>(count);
  if (!text.empty())
    log(2, "runtime", "\"" + text + "\" is not a number of threads from 1 to 4096; all cores are used");
  return usable_cores();
}

}  // namespace

ThreadCountScope::ThreadCountScope(unsigned count) : previous_(std::exchange(requested_here, count)) {}
ThreadCountScope::~ThreadCountScope() { requested_here = previous_; }

unsigned thread_count() {
  if (requested_here) return requested_here;
  return thread_count_of_application();
}

unsigned thread_count_of_application() {
  const unsigned requested = requested_threads.load(std::memory_order_relaxed);
  static const unsigned count = default_thread_count();
  return requested ? requested : count;
}

void parallel_ranges(std::int64_t n, std::int64_t grain, lks_range_fn fn, void* arg) {
  if (n <= 0) return;
  const std::int64_t most = n / std::max<std::int64_t>(1, grain);
  if (most <= 1 || inside_piece) return fn(arg, 0, n);
  const auto pieces = static_cast<unsigned>(std::min<std::int64_t>(most, thread_count()));
  if (pieces <= 1) return fn(arg, 0, n);
  Ranges ranges{n, pieces, fn, arg};
  CustomRunner& custom = custom_runner();
  if (custom.set.load(std::memory_order_acquire)) {
    SharedLockGuard lock(custom.mutex);
    if (custom.run) return custom.run(pieces, [&](unsigned index) { Ranges::run_piece(&ranges, index); });
  }
  if (pool_is_the_parents()) return fn(arg, 0, n);
  run_on_pool(pieces, &Ranges::run_piece, &ranges);
}

void parallel_for(std::int64_t n, std::int64_t grain, const std::function<void(std::int64_t, std::int64_t)>& body) {
  if (!body) ErrorBuilder(ErrorId::invalid_use, "parallel_for", "there is no body").fix("give a function").raise();
  struct Call {
    const std::function<void(std::int64_t, std::int64_t)>& body;
    Mutex mutex;
    std::exception_ptr first LOCKSTEP_GUARDED_BY(mutex);
  } call{body, {}, nullptr};
  const lks_range_fn guarded = [](void* arg, std::int64_t begin, std::int64_t end) {
    auto& c = *static_cast<Call*>(arg);
    try {
      c.body(begin, end);
    } catch (...) {
      LockGuard lock(c.mutex);
      if (!c.first) c.first = std::current_exception();
    }
  };
  parallel_ranges(n, grain, guarded, &call);
  LockGuard lock(call.mutex);
  if (call.first) std::rethrow_exception(call.first);
}

void set_parallel_runner(Runner run) {
  CustomRunner& custom = custom_runner();
  LockGuard lock(custom.mutex);
  custom.run = std::move(run);
  custom.set = static_cast<bool>(custom.run);
}

}  // namespace lockstep
