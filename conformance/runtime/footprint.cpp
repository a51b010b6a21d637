#include "conformance/runtime/footprint.h"

#include <dirent.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "conformance/runtime/check.h"

// Sanitizers bring an allocator of their own, which keeps freed memory and knows what is in use. Declared here, as g++
// has the function but not clang's header of it.
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

// What a round of steps may add without being suspected.
struct Allowance {
  std::int64_t heap_bytes, resident_bytes;
};

std::string grown_text(const std::string& what, const char* kind, std::int64_t growth, int steps) {
  return text("%s: %lld %s more after %d times", what.c_str(), static_cast<long long>(growth), kind, steps);
}

// Empty where the process did not grow by more than is allowed.
std::string growth_of(const std::string& what, int steps, const Footprint& before, const Footprint& after,
                      const Allowance& allowed) {
  if (after.heap_bytes - before.heap_bytes > allowed.heap_bytes) {
    return grown_text(what, "bytes of the heap", after.heap_bytes - before.heap_bytes, steps);
  }
  if (after.resident_bytes - before.resident_bytes > allowed.resident_bytes) {
    return grown_text(what, "resident bytes", after.resident_bytes - before.resident_bytes, steps);
  }
  if (after.files > before.files) return grown_text(what, "open files", after.files - before.files, steps);
  if (after.threads > before.threads) return grown_text(what, "threads", after.threads - before.threads, steps);
  return "";
}

using Clock = std::chrono::steady_clock;

// Warms up, and says how many steps make a round: as many as wanted, or as a few seconds allow. Opening a GPU can take
// half a second.
int warm_up(int wanted, const std::function<void()>& step) {
  constexpr double most_seconds = 2;
  constexpr int least = 5;
  const Clock::time_point start = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  int done = 0;
  while (done < least || (done < std::max(20, wanted / 10) && seconds() < most_seconds)) {
    step();
    ++done;
  }
  return std::min(wanted, std::max(least, static_cast<int>(most_seconds / (seconds() / done))));
}

}  // namespace

// A leak grows in every round, or much in all of them; everything else settles after some.
void check_no_growth(const std::string& what, int wanted_steps, const std::function<void()>& step, double bytes_each) {
  const int steps = warm_up(wanted_steps, step);
  constexpr int most_rounds = 12, quiet_rounds = 2, least_rounds = 3;
  const auto allowance = static_cast<std::int64_t>(bytes_each * steps);
  const Allowance allowed{64 + allowance, (1 << 20) + 512 * std::int64_t{steps}};
  const Footprint start = footprint();
  std::string growth;
  int quiet = 0, rounds = 0;
  while (rounds < least_rounds || (quiet < quiet_rounds && rounds < most_rounds)) {
    const Footprint before = footprint();
    for (int i = 0; i < steps; ++i) step();
    std::string grown = growth_of(what, steps, before, footprint(), allowed);
    ++rounds;
    if (grown.empty()) ++quiet;
    if (!grown.empty()) growth = std::move(grown);
  }
  check(quiet >= quiet_rounds, growth + text(", in %d of %d rounds", rounds - quiet, rounds));
  // A table that grows by doubling is quiet most of the time.
  const std::int64_t total = footprint().heap_bytes - start.heap_bytes;
  check(total <= (64 << 10) + rounds * allowance, grown_text(what, "bytes of the heap", total, rounds * steps));
}

}  // namespace lockstep::conformance
