// The suites' implementation of lks_host_api. It counts fault points and fails the k-th, splits parallel loops
// unevenly, passes options on, counts log lines, and can claim another ABI version.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/internal/mutex.h"
#include "conformance/runtime/page_edge.h"
#include "lockstep/driver.h"

namespace lockstep::conformance {

/// How parallel_for runs its pieces.
struct ParallelStyle {
  unsigned pieces = 1;
  bool even = true;       // false: very different lengths
  bool reversed = false;  // starts with the last piece
  bool threads = false;   // each piece on its own thread, after a short delay that varies
};

/// While such an object exists, the option "cache.folder" of every TestHost has this value.
class [[nodiscard]] CacheFolder {
 public:
  explicit CacheFolder(const std::string& path);
  ~CacheFolder();
  CacheFolder(const CacheFolder&) = delete;
  CacheFolder& operator=(const CacheFolder&) = delete;
};

class TestHost {
 public:
  static constexpr std::uint32_t any_kind = 0;

  TestHost();
  TestHost(const TestHost&) = delete;
  TestHost& operator=(const TestHost&) = delete;

  const lks_host_api& api() const { return older_ ? *older_->as<lks_host_api>() : grown_.api; }

  /// Becomes a host of ABI 1.0, whose table ends where memory ends. Returns api().
  const lks_host_api& become_older();

  /// Claims another version. `size` goes into the header; the struct itself is always large enough.
  void pretend(std::uint32_t major, std::uint32_t minor, std::uint32_t size);
  void extend(const void* next) { grown_.api.hdr.next = next; }

  /// Restarts the counts, and fails the k-th fault point, of all or of one kind; 0 fails none.
  void fail_at(std::uint64_t k, std::uint32_t kind = any_kind);
  /// Fails no further fault points. The counts and the injected status can still be read.
  void disarm() { target_ = 0; }
  bool fired() const { return fired_; }
  std::string site() const;  // of the failed point
  lks_status injected() const { return injected_; }
  std::uint64_t passed() const { return passed_; }
  std::uint64_t passed(std::uint32_t kind) const { return by_kind_[kind]; }

  /// The status that a failed fault point of this kind returns.
  static lks_status status_for(std::uint32_t kind);

  /// While such an object exists, fault points of waits are neither counted nor failed. For the waits of a case that
  /// cleans up, whose failures would not be reported.
  class [[nodiscard]] WaitsSucceed {
   public:
    explicit WaitsSucceed(TestHost& host) : host_(host) { ++host_.sure_waits_; }
    ~WaitsSucceed() { --host_.sure_waits_; }
    WaitsSucceed(const WaitsSucceed&) = delete;
    WaitsSucceed& operator=(const WaitsSucceed&) = delete;

   private:
    TestHost& host_;
  };

  /// Sets a function to call at each fault point before it is counted, and at each parallel loop; nullptr removes it.
  /// Not while a command runs.
  void set_visitor(std::function<void()> visitor) { visitor_ = std::move(visitor); }

  /// Not while a command runs.
  void set_style(const ParallelStyle& style) { style_ = style; }
  std::uint64_t log_lines() const { return log_lines_; }

 private:
  static void LKS_CALL log(void* host, std::uint32_t level, const char* component, const char* message);
  static std::int64_t LKS_CALL get_option(void* host, const char* key, char* buf, std::uint64_t size);
  static void LKS_CALL parallel_for(void* host, std::int64_t n, std::int64_t grain, lks_range_fn fn, void* arg);
  static std::uint32_t LKS_CALL thread_count(void* host);
  static lks_status LKS_CALL fault_point(void* host, std::uint32_t kind, const char* site);
  std::vector<std::int64_t> cuts(std::int64_t n, std::int64_t grain) const;

  struct {
    lks_host_api api;
    unsigned char future[256];  // fields that a newer host would have
  } grown_;
  std::optional<PageEdge> older_;
  mutable Mutex mutex_;
  ParallelStyle style_;
  std::function<void()> visitor_;
  std::atomic<std::uint64_t> passed_{0}, target_{0}, log_lines_{0};
  std::array<std::atomic<std::uint64_t>, 8> by_kind_{};
  std::atomic<bool> fired_{false};
  std::atomic<lks_status> injected_{LKS_OK};
  std::atomic<std::uint32_t> target_kind_{any_kind};
  std::atomic<int> sure_waits_{0};
  std::string site_ LOCKSTEP_GUARDED_BY(mutex_);
};

}  // namespace lockstep::conformance
