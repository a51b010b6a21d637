// A driver library, opened through its C interface, and RAII owners of its objects.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <utility>

#include "conformance/runtime/call.h"
#include "conformance/runtime/test_host.h"
#include "runtime/library.h"

namespace lockstep::conformance {

/// The library and its table. The destructor unloads the library if the driver's flags allow it.
class DriverLibrary {
 public:
  explicit DriverLibrary(const std::string& path);
  ~DriverLibrary();
  DriverLibrary(const DriverLibrary&) = delete;
  DriverLibrary& operator=(const DriverLibrary&) = delete;

  lks_driver_entry_fn entry() const { return entry_; }
  /// The table that the entry returns to this host; throws DriverFailure.
  const lks_driver_api& table(const lks_host_api& host);

 private:
  SharedLibrary library_;
  lks_driver_entry_fn entry_ = nullptr;
  bool unloadable_ = true;
};

/// The version of the suites' host: that of driver.h, or ABI 1.0.
enum class HostVersion { present, first };

/// An open driver and device. Declare it before the objects that are created from it.
class Session {
 public:
  explicit Session(const RuntimeTarget& target, HostVersion version = HostVersion::present);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  TestHost host;
  DriverLibrary library;
  const lks_driver_api& api;
  lks_driver* driver = nullptr;
  lks_device* device = nullptr;
  std::uint32_t ordinal;
  lks_device_info info;

  bool is_inline() const { return info.capabilities & LKS_CAP_INLINE_QUEUE; }
  bool is_host_visible() const { return info.heaps[0].flags & LKS_HEAP_HOST_VISIBLE; }
  bool offers(std::uint32_t mode) const { return info.math_modes >> mode & 1u; }
};

lks_device_info describe(const lks_driver_api& api, lks_driver* driver, std::uint32_t ordinal);
/// The free bytes of heap 0, as device_memory says.
std::uint64_t free_memory(Session& session);

class Buffer {
 public:
  Buffer(Session& session, std::uint64_t bytes);
  /// Over memory of the host that begins at a multiple of min_alignment and outlives the buffer.
  Buffer(Session& session, const lks_import_export_group& group, std::span<const unsigned char> memory);
  ~Buffer();
  Buffer(Buffer&& other) noexcept
      : session_(other.session_), handle_(std::exchange(other.handle_, nullptr)), bytes_(other.bytes_) {}
  Buffer& operator=(Buffer&&) = delete;

  lks_buffer* handle() const { return handle_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  Session* session_;
  lks_buffer* handle_ = nullptr;
  std::uint64_t bytes_;
};

/// Waits at most this long and returns the status. `failure`, if given, gets the diag.
lks_status wait_within(Session& session, lks_timeline* timeline, std::uint64_t value, std::uint64_t nanoseconds,
                       lks_diag* failure = nullptr);
/// The value that is reached. Throws DriverFailure if the timeline failed.
std::uint64_t query(Session& session, lks_timeline* timeline);

class Timeline {
 public:
  explicit Timeline(Session& session);
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  lks_timeline* handle() const { return handle_; }
  void signal(std::uint64_t value);
  void fail(std::uint64_t value, const lks_diag& failure);
  std::uint64_t query() { return conformance::query(session_, handle_); }

 private:
  Session& session_;
  lks_timeline* handle_ = nullptr;
};

/// Signals a timeline at the end of the scope, so that no queue waits for it any more when that is destroyed. Declare
/// it after the queues.
class [[nodiscard]] SignalledAtEnd {
 public:
  SignalledAtEnd(Session& session, const Timeline& timeline, std::uint64_t value)
      : session_(session), timeline_(timeline.handle()), value_(value) {}
  ~SignalledAtEnd();
  SignalledAtEnd(const SignalledAtEnd&) = delete;
  SignalledAtEnd& operator=(const SignalledAtEnd&) = delete;

 private:
  Session& session_;
  lks_timeline* timeline_;
  std::uint64_t value_;
};

/// Waits at most a minute, so that a lost signal is a failed check. Throws DriverFailure if the timeline failed. If the
/// wait itself fails, waits until the value is reached and then throws, so that the commands' memory may be freed.
void wait_for(Session& session, lks_timeline* timeline, std::uint64_t value);
/// Whether the wait itself failed. The commands that it waited for may have succeeded.
bool is_of_the_wait(const DriverFailure& failure);

/// Each command returns its value. The values of an asynchronous queue are checked to increase.
class Queue {
 public:
  explicit Queue(Session& session, std::uint32_t kind = LKS_QUEUE_COMPUTE);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  lks_queue* handle() const { return handle_; }
  lks_timeline* timeline() const { return timeline_; }
  std::uint64_t newest() const { return newest_; }

  std::uint64_t launch(const lks_launch* launches, std::uint32_t count = 1);
  std::uint64_t copy(const Buffer& dst, std::uint64_t dst_offset, const Buffer& src, std::uint64_t src_offset,
                     std::uint64_t bytes);
  /// `src` stays valid until the value is reached.
  std::uint64_t write(const Buffer& dst, std::uint64_t offset, const void* src, std::uint64_t bytes);
  std::uint64_t read(void* dst, const Buffer& src, std::uint64_t offset, std::uint64_t bytes);
  std::uint64_t fill(const Buffer& dst, std::uint64_t offset, std::uint64_t bytes, std::uint64_t pattern,
                     std::uint32_t pattern_bytes = 1);
  void wait_on(lks_timeline* timeline, std::uint64_t value);
  void flush();
  std::uint64_t recover();
  void recover_if_failed();
  /// Waits until all commands are done.
  void finish() { wait_for(session_, timeline_, newest_); }
  /// The same when a case fails: never throws. Waits have no value of their own, so this enqueues an empty fill of
  /// `some` behind them and waits for it. Afterwards, timelines that this queue waited for may be destroyed.
  void drain(const Buffer& some) noexcept;
  /// Destroys the queue at once, even if it has failed. Nothing else may be called afterwards.
  void end() { session_.api.queue_destroy(std::exchange(handle_, nullptr)); }

  /// Write or read, and wait until it is done.
  void upload(const Buffer& dst, const Bytes& bytes, std::uint64_t offset = 0);
  Bytes download(const Buffer& src, std::uint64_t offset, std::uint64_t bytes);
  Bytes download(const Buffer& src) { return download(src, 0, src.bytes()); }

 private:
  std::uint64_t note(const char* call, std::uint64_t value);
  void await_idle() noexcept;
  Session& session_;
  lks_queue* handle_ = nullptr;
  lks_timeline* timeline_ = nullptr;
  std::atomic<std::uint64_t> newest_ = 0;  // several threads may use one inline queue
};

/// A mapping of host-visible memory.
class Mapping {
 public:
  Mapping(Session& session, const Buffer& buffer, std::uint64_t offset, std::uint64_t bytes);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  unsigned char* data() const { return data_; }

 private:
  Session& session_;
  const Buffer& buffer_;
  unsigned char* data_ = nullptr;
};

}  // namespace lockstep::conformance
