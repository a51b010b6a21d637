#include "conformance/runtime/test_host.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <thread>

#include "api/internal/abi_1_0.h"
#include "lockstep/options.h"

namespace lockstep::conformance {
namespace {

thread_local bool inside_piece = false;

TestHost& self(void* host) { return *static_cast<TestHost*>(host); }

Mutex cache_folder_mutex;
std::optional<std::string> cache_folder LOCKSTEP_GUARDED_BY(cache_folder_mutex);

std::optional<std::string> value_of(const char* key) {
  const LockGuard lock(cache_folder_mutex);
  return cache_folder && std::strcmp(key, "cache.folder") == 0 ? cache_folder : option(key);
}

}  // namespace

CacheFolder::CacheFolder(const std::string& path) {
  const LockGuard lock(cache_folder_mutex);
  cache_folder = path;
}

CacheFolder::~CacheFolder() {
  const LockGuard lock(cache_folder_mutex);
  cache_folder.reset();
}

TestHost::TestHost() {
  std::memset(&grown_, 0, sizeof grown_);
  std::memset(grown_.future, 0x5c, sizeof grown_.future);
  grown_.api = {.hdr = {sizeof(lks_host_api), 0, nullptr},
                .abi_major = LKS_ABI_MAJOR,
                .abi_minor = LKS_ABI_MINOR,
                .host = this,
                .log = &log,
                .get_option = &get_option,
                .parallel_for = &parallel_for,
                .thread_count = &thread_count,
                .fault_point = &fault_point};
}

void TestHost::pretend(std::uint32_t major, std::uint32_t minor, std::uint32_t size) {
  grown_.api.abi_major = major;
  grown_.api.abi_minor = minor;
  grown_.api.hdr.size = size;
}

const lks_host_api& TestHost::become_older() {
  pretend(LKS_ABI_MAJOR, 0, static_cast<std::uint32_t>(host_api_1_0));
  older_.emplace(&grown_.api, host_api_1_0);
  return api();
}

void TestHost::fail_at(std::uint64_t k, std::uint32_t kind) {
  const LockGuard lock(mutex_);
  target_kind_ = kind;
  target_ = k;
  passed_ = 0;
  for (auto& count : by_kind_) count = 0;
  fired_ = false;
  injected_ = LKS_OK;
  site_.clear();
}

std::string TestHost::site() const {
  const LockGuard lock(mutex_);
  return site_;
}

lks_status TestHost::status_for(std::uint32_t kind) {
  return kind == LKS_FAULT_ALLOC ? LKS_OUT_OF_MEMORY : LKS_UNAVAILABLE;
}

void LKS_CALL TestHost::log(void* host, std::uint32_t, const char*, const char*) { ++self(host).log_lines_; }

std::int64_t LKS_CALL TestHost::get_option(void*, const char* key, char* buf, std::uint64_t size) {
  const std::optional<std::string> value = value_of(key);
  if (!value) return -1;
  if (size > 0) {
    const std::size_t length = std::min<std::size_t>(value->size(), size - 1);
    std::memcpy(buf, value->data(), length);
    buf[length] = '\0';
  }
  return static_cast<std::int64_t>(value->size());
}

// The ends of the pieces. Uneven pieces grow, to find kernels that assume equal pieces.
std::vector<std::int64_t> TestHost::cuts(std::int64_t n, std::int64_t grain) const {
  const std::int64_t most = std::max<std::int64_t>(1, n / std::max<std::int64_t>(1, grain));
  const auto pieces = std::min<std::int64_t>(most, style_.pieces);
  std::vector<std::int64_t> ends;
  if (style_.even) {
    for (std::int64_t i = 1; i <= pieces; ++i) ends.push_back(n / pieces * i + std::min(i, n % pieces));
    return ends;
  }
  // Each piece has at least `grain` iterations; the rest is distributed in proportion to 1, 2, 3 …
  const std::int64_t least = pieces > 1 ? std::max<std::int64_t>(1, grain) : 0, left = n - least * pieces;
  std::int64_t end = 0, weight = pieces * (pieces + 1) / 2, given = 0;
  for (std::int64_t i = 1; i <= pieces; ++i) {
    const std::int64_t share = i == pieces ? left - given : left / weight * i;
    given += share;
    end += least + share;
    ends.push_back(end);
  }
  return ends;
}

void LKS_CALL TestHost::parallel_for(void* host, std::int64_t n, std::int64_t grain, lks_range_fn fn, void* arg) {
  TestHost& h = self(host);
  if (h.visitor_ && !inside_piece) h.visitor_();
  if (n <= 0) return;
  if (inside_piece || h.style_.pieces <= 1) return fn(arg, 0, n);
  const std::vector<std::int64_t> ends = h.cuts(n, grain);
  const std::size_t count = ends.size();
  const auto run = [&](std::size_t i) {
    inside_piece = true;
    fn(arg, i == 0 ? 0 : ends[i - 1], ends[i]);
    inside_piece = false;
  };
  if (!h.style_.threads || count == 1) {
    for (std::size_t i = 0; i < count; ++i) run(h.style_.reversed ? count - 1 - i : i);
    return;
  }
  std::vector<std::thread> threads;
  static std::atomic<std::uint64_t> turn{0};
  for (std::size_t i = 0; i < count; ++i) {
    // Delay each piece differently, so that their order varies.
    const std::uint64_t delay = (turn++ * 0x9e3779b97f4a7c15u >> 40) % 150;
    threads.emplace_back([&run, i, delay] {
      std::this_thread::sleep_for(std::chrono::microseconds(delay));
      run(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

std::uint32_t LKS_CALL TestHost::thread_count(void* host) { return inside_piece ? 1 : self(host).style_.pieces; }

lks_status LKS_CALL TestHost::fault_point(void* host, std::uint32_t kind, const char* site) {
  TestHost& h = self(host);
  if (h.visitor_) h.visitor_();
  if (kind == LKS_FAULT_WAIT && h.sure_waits_ > 0) return LKS_OK;
  if (kind < h.by_kind_.size()) ++h.by_kind_[kind];
  if (h.target_kind_ != any_kind && kind != h.target_kind_) return LKS_OK;
  if (++h.passed_ != h.target_) return LKS_OK;
  const LockGuard lock(h.mutex_);
  h.site_ = site ? site : "";
  h.injected_ = status_for(kind);
  h.fired_ = true;
  return status_for(kind);
}

}  // namespace lockstep::conformance
