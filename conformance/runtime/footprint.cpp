#include "conformance/runtime/footprint.h"

#include <dirent.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "conformance/runtime/check.h"

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

std::int64_t resident() {
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
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  const struct mallinfo2 info = mallinfo2();
  now.heap_bytes = static_cast<std::int64_t>(info.uordblks + info.hblkhd);
#endif
  now.resident_bytes = resident();
  now.files = entries_of("/proc/self/fd");
  now.threads = entries_of("/proc/self/task");
  return now;
}

// A leak grows in every round, everything else in some: the smallest growth of the rounds decides.
void check_no_growth(const std::string& what, int steps, const std::function<void()>& step, double bytes_each) {
  for (int i = 0; i < std::max(20, steps / 10); ++i) step();
  constexpr std::int64_t most = INT64_MAX;
  Footprint least{most, most, most, most};
  constexpr int rounds = 3;
  for (int round = 0; round < rounds; ++round) {
    const Footprint before = footprint();
    for (int i = 0; i < steps; ++i) step();
    const Footprint after = footprint();
    least.heap_bytes = std::min(least.heap_bytes, after.heap_bytes - before.heap_bytes);
    least.resident_bytes = std::min(least.resident_bytes, after.resident_bytes - before.resident_bytes);
    least.files = std::min(least.files, after.files - before.files);
    least.threads = std::min(least.threads, after.threads - before.threads);
  }
  const auto failure = [&](const char* kind, std::int64_t growth) {
    return text("%s: %lld %s more after each %d times", what.c_str(), static_cast<long long>(growth), kind, steps);
  };
  check(static_cast<double>(least.heap_bytes) <= 512 + bytes_each * steps,
        failure("bytes of the heap", least.heap_bytes));
  check(least.resident_bytes <= (1 << 20) + 512 * std::int64_t{steps}, failure("resident bytes", least.resident_bytes));
  check(least.files <= 0, failure("open files", least.files));
  check(least.threads <= 0, failure("threads", least.threads));
}

}  // namespace lockstep::conformance
