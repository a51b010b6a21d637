#include "conformance/runtime/footprint.h"

#include <dirent.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "conformance/runtime/check.h"

// Sanitizers have their own allocator, which keeps freed memory but reports what is in use. The function is declared
// here because g++ lacks clang's header for it.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();  // NOLINT(bugprone-reserved-identifier)
#define CONFORMANCE_SANITIZER_HEAP 1
#endif

namespace lockstep::conformance {
namespace {

std::int64_t entries_of(const char* folder) {
  std::int64_t n = 0;
  if (DIR* dir = opendir(folder)) {
    while (readdir(dir)) ++n;
    closedir(dir);
  }
  return n;
}

[[maybe_unused]] std::int64_t resident() {
  long long pages = 0, ignored = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%lld %lld", &ignored, &pages) != 2) pages = 0;
    std::fclose(file);
  }
  return pages * sysconf(_SC_PAGE_SIZE);
}

}  // namespace

Footprint footprint() {
  Footprint now;
#if defined(CONFORMANCE_SANITIZER_HEAP)
  now.heap_bytes = static_cast<std::int64_t>(__sanitizer_get_current_allocated_bytes());
#else
#if defined(__GLIBC__)
  malloc_trim(0);  // returns freed pages: how many the allocator keeps depends on which thread freed what, and when
#endif
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  const struct mallinfo2 info = mallinfo2();
  now.heap_bytes = static_cast<std::int64_t>(info.uordblks + info.hblkhd);
#endif
  now.resident_bytes = resident();
#endif
  now.files = entries_of("/proc/self/fd");
  now.threads = entries_of("/proc/self/task");
  return now;
}

namespace {

// The growth that is not taken for a leak.
struct Allowance {
  double heap_bytes_each;

  std::int64_t heap_bytes(int steps) const { return 64 + static_cast<std::int64_t>(heap_bytes_each * steps); }
  std::int64_t resident_bytes(int steps) const { return (1 << 20) + 512 * std::int64_t{steps}; }
};

std::string grown_text(const std::string& what, const char* kind, std::int64_t growth, int steps) {
  return text("%s: %lld %s more after %d times", what.c_str(), static_cast<long long>(growth), kind, steps);
}

// Describes the growth. Empty if the process did not grow by more than is allowed.
std::string growth_of(const std::string& what, int steps, const Footprint& before, const Footprint& after,
                      const Allowance& allowed) {
  if (after.heap_bytes - before.heap_bytes > allowed.heap_bytes(steps)) {
    return grown_text(what, "bytes of the heap", after.heap_bytes - before.heap_bytes, steps);
  }
  if (after.resident_bytes - before.resident_bytes > allowed.resident_bytes(steps)) {
    return grown_text(what, "resident bytes", after.resident_bytes - before.resident_bytes, steps);
  }
  if (after.files > before.files) return grown_text(what, "open files", after.files - before.files, steps);
  if (after.threads > before.threads) return grown_text(what, "threads", after.threads - before.threads, steps);
  return "";
}

using Clock = std::chrono::steady_clock;

// Warms up and returns the number of steps in a round: `wanted`, or fewer if they would take more than two seconds, but
// at least five. Opening a GPU can take half a second.
int warm_up(int wanted, const std::function<void()>& step) {
  constexpr double max_seconds = 2;
  constexpr int least = 5;
  const Clock::time_point start = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  int done = 0;
  while (done < least || (done < std::max(20, wanted / 10) && seconds() < max_seconds)) {
    step();
    ++done;
  }
  return std::min(wanted, std::max(least, static_cast<int>(max_seconds / (seconds() / done))));
}

}  // namespace

// A leak only grows. Everything else settles, or goes up and down if a driver frees its garbage in batches.
void check_no_growth(const std::string& what, int wanted_steps, const std::function<void()>& step, double bytes_each) {
  constexpr std::size_t max_rounds = 16, steady_rounds = 3;
  const int steps = warm_up(wanted_steps, step);
  const Allowance allowed{bytes_each};
  std::vector<Footprint> after;  // one per round
  after.reserve(max_rounds + 1);
  after.push_back(footprint());
  // Whether the process has not grown since some earlier round, at least `steady_rounds` ago.
  const auto has_come_back = [&] {
    for (std::size_t first = 0; first + steady_rounds < after.size(); ++first) {
      const int stretch = static_cast<int>(after.size() - 1 - first) * steps;
      if (growth_of(what, stretch, after[first], after.back(), allowed).empty()) return true;
    }
    return false;
  };
  while (!has_come_back()) {
    const int rounds = static_cast<int>(after.size()) - 1;
    check(after.size() <= max_rounds, growth_of(what, rounds * steps, after.front(), after.back(), allowed) +
                                          text(", and never back in %d rounds", rounds));
    for (int i = 0; i < steps; ++i) step();
    after.push_back(footprint());
  }
  // A table that grows by doubling does not grow in most rounds, so the total is checked too.
  const int all_steps = static_cast<int>(after.size() - 1) * steps;
  const std::int64_t total = after.back().heap_bytes - after.front().heap_bytes;
  check(total <= (64 << 10) + allowed.heap_bytes(all_steps), grown_text(what, "bytes of the heap", total, all_steps));
}

}  // namespace lockstep::conformance
