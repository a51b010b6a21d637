#include "conformance/runtime/session.h"

#include <cstring>

namespace lockstep::conformance {

DriverLibrary::DriverLibrary(const std::string& path) {
  std::string reason;
  library_ = SharedLibrary::open(path, reason);
  check(static_cast<bool>(library_), "the library does not load: " + reason);
  entry_ = reinterpret_cast<lks_driver_entry_fn>(library_.symbol(LKS_ENTRY_SYMBOL));
  check(entry_ != nullptr, "the library exports no symbol " LKS_ENTRY_SYMBOL);
}

DriverLibrary::~DriverLibrary() {
  if (!unloadable_) library_.pin();
}

const lks_driver_api& DriverLibrary::table(const lks_host_api& host) {
  const lks_driver_api* api = nullptr;
  Call call("the entry");
  call.ok(entry_(&host, &api, call.diag()));
  check(api != nullptr, "the entry succeeded without a table");
  unloadable_ = api->flags & LKS_DRIVER_UNLOADABLE;
  return *api;
}

lks_device_info describe(const lks_driver_api& api, lks_driver* driver, std::uint32_t ordinal) {
  lks_device_info info;
  std::memset(&info, 0, sizeof info);
  info.hdr.size = sizeof info;
  Call call("device_describe");
  call.ok(api.device_describe(driver, ordinal, &info, call.diag()));
  return info;
}

std::uint64_t free_memory(Session& session) {
  std::uint64_t total = 0, free_bytes = 0;
  Call call("device_memory");
  call.ok(
      session.api.device_memory(session.driver, session.ordinal, session.device, 0, &total, &free_bytes, call.diag()));
  return free_bytes;
}

Session::Session(const RuntimeTarget& target, HostVersion version)
    : library(target.library),
      api(library.table(version == HostVersion::first ? host.become_older() : host.api())),
      ordinal(target.ordinal) {
  Call open("driver_open");
  open.ok(api.driver_open(&host.api(), &driver, open.diag()));
  check(driver != nullptr, "driver_open succeeded without a driver");
  try {
    check(ordinal < api.device_count(driver),
          text("the driver has %u devices, none has number %u", api.device_count(driver), ordinal));
    info = describe(api, driver, ordinal);
    if (info.status != LKS_OK) throw NotOffered(std::string("the device cannot be opened: ") + info.reason);
    Call call("device_open");
    call.ok(api.device_open(driver, ordinal, &device, call.diag()));
  } catch (...) {
    api.driver_close(driver);
    throw;
  }
}

Session::~Session() {
  host.fail_at(0);
  api.device_close(device);
  api.driver_close(driver);
}

Buffer::Buffer(Session& session, std::uint64_t bytes) : session_(&session), bytes_(bytes) {
  Call call("buffer_alloc");
  call.ok(session.api.buffer_alloc(session.device, 0, bytes, &handle_, call.diag()));
  check(handle_ != nullptr,
        text("buffer_alloc of %llu bytes succeeded without a buffer", static_cast<unsigned long long>(bytes)));
}

Buffer::Buffer(Session& session, const lks_import_export_group& group, std::span<const unsigned char> memory)
    : session_(&session), bytes_(memory.size()) {
  Call call("buffer_import");
  const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(memory.data()));
  call.ok(group.buffer_import(session.device, LKS_HANDLE_HOST_POINTER, address, bytes_, &handle_, call.diag()));
  check(handle_ != nullptr, "buffer_import succeeded without a buffer");
}

Buffer::~Buffer() {
  if (handle_) session_->api.buffer_free(session_->device, handle_);
}

Timeline::Timeline(Session& session) : session_(session) {
  Call call("timeline_create");
  call.ok(session.api.timeline_create(session.device, &handle_, call.diag()));
}

Timeline::~Timeline() { session_.api.timeline_destroy(handle_); }

void Timeline::signal(std::uint64_t value) {
  Call call("timeline_signal");
  call.ok(session_.api.timeline_signal(handle_, value, nullptr, call.diag()));
}

void Timeline::fail(std::uint64_t value, const lks_diag& failure) {
  Call call("timeline_signal");
  call.ok(session_.api.timeline_signal(handle_, value, &failure, call.diag()));
}

// Refused if the timeline is already there, or has failed.
SignalledAtEnd::~SignalledAtEnd() {
  lks_diag ignored = empty_diagnosis();
  session_.api.timeline_signal(timeline_, value_, nullptr, &ignored);
}

lks_status wait_within(Session& session, lks_timeline* timeline, std::uint64_t value, std::uint64_t nanoseconds,
                       lks_diag* failure) {
  Call call("timeline_wait");
  const lks_status status = call.done(session.api.timeline_wait(timeline, value, nanoseconds, call.diag()));
  if (failure) *failure = call.filled();
  return status;
}

std::uint64_t query(Session& session, lks_timeline* timeline) {
  std::uint64_t reached = 0;
  Call call("timeline_query");
  call.ok(session.api.timeline_query(timeline, &reached, call.diag()));
  return reached;
}

namespace {

constexpr std::uint64_t minute = 60'000'000'000u;

// Waits again while only the wait itself fails, at most ten times.
void wait_surely(Session& session, lks_timeline* timeline, std::uint64_t value) noexcept {
  const TestHost::WaitsSucceed sure(session.host);
  for (int i = 0; i < 10; ++i) {
    lks_diag diag = empty_diagnosis();
    const lks_status status = session.api.timeline_wait(timeline, value, minute, &diag);
    if (status == LKS_OK || status == LKS_TIMEOUT || diag.value != 0) return;
  }
}

}  // namespace

bool is_of_the_wait(const DriverFailure& failure) {
  return failure.call == "timeline_wait" && failure.status != LKS_TIMEOUT && failure.diag.value == 0;
}

void wait_for(Session& session, lks_timeline* timeline, std::uint64_t value) {
  Call call("timeline_wait");
  try {
    call.ok(session.api.timeline_wait(timeline, value, minute, call.diag()));
  } catch (const DriverFailure& failure) {
    if (is_of_the_wait(failure)) wait_surely(session, timeline, value);
    throw;
  }
}

Queue::Queue(Session& session, std::uint32_t kind) : session_(session) {
  Call call("queue_create");
  call.ok(session.api.queue_create(session.device, kind, &handle_, &timeline_, call.diag()));
  check(handle_ && timeline_, "queue_create succeeded without a queue or its timeline");
}

// A queue must be idle before it is destroyed, even if a case fails half-way.
Queue::~Queue() {
  if (!handle_) return;
  await_idle();
  session_.api.queue_destroy(handle_);
}

void Queue::drain(const Buffer& some) noexcept {
  lks_diag diag = empty_diagnosis();
  std::uint64_t value = 0;
  if (session_.api.queue_fill(handle_, some.handle(), 0, 0, 0, 1, &value, &diag) == LKS_OK) newest_ = value;
  await_idle();
}

void Queue::await_idle() noexcept {
  const TestHost::WaitsSucceed sure(session_.host);
  lks_diag diag = empty_diagnosis();
  if (session_.api.timeline_wait(timeline_, newest_, minute, &diag) != LKS_OK) {
    std::uint64_t last = 0;
    session_.api.queue_recover(handle_, &last, &diag);
  }
}

std::uint64_t Queue::note(const char* call, std::uint64_t value) {
  if (!session_.is_inline()) {
    check(value > newest_,
          text("%s took value %llu after %llu: the values of a queue increase", call,
               static_cast<unsigned long long>(value), static_cast<unsigned long long>(newest_.load())));
  }
  newest_ = value;
  return value;
}

std::uint64_t Queue::launch(const lks_launch* launches, std::uint32_t count) {
  std::uint64_t value = 0;
  Call call("queue_launch");
  call.ok(session_.api.queue_launch(handle_, launches, count, &value, call.diag()));
  return note("queue_launch", value);
}

std::uint64_t Queue::copy(const Buffer& dst, std::uint64_t dst_offset, const Buffer& src, std::uint64_t src_offset,
                          std::uint64_t bytes) {
  std::uint64_t value = 0;
  Call call("queue_copy");
  call.ok(
      session_.api.queue_copy(handle_, dst.handle(), dst_offset, src.handle(), src_offset, bytes, &value, call.diag()));
  return note("queue_copy", value);
}

std::uint64_t Queue::write(const Buffer& dst, std::uint64_t offset, const void* src, std::uint64_t bytes) {
  std::uint64_t value = 0;
  Call call("queue_write");
  call.ok(session_.api.queue_write(handle_, dst.handle(), offset, src, bytes, &value, call.diag()));
  return note("queue_write", value);
}

std::uint64_t Queue::read(void* dst, const Buffer& src, std::uint64_t offset, std::uint64_t bytes) {
  std::uint64_t value = 0;
  Call call("queue_read");
  call.ok(session_.api.queue_read(handle_, dst, src.handle(), offset, bytes, &value, call.diag()));
  return note("queue_read", value);
}

std::uint64_t Queue::fill(const Buffer& dst, std::uint64_t offset, std::uint64_t bytes, std::uint64_t pattern,
                          std::uint32_t pattern_bytes) {
  std::uint64_t value = 0;
  Call call("queue_fill");
  call.ok(session_.api.queue_fill(handle_, dst.handle(), offset, bytes, pattern, pattern_bytes, &value, call.diag()));
  return note("queue_fill", value);
}

void Queue::wait_on(lks_timeline* timeline, std::uint64_t value) {
  Call call("queue_wait");
  call.ok(session_.api.queue_wait(handle_, timeline, value, call.diag()));
}

void Queue::flush() {
  Call call("queue_flush");
  call.ok(session_.api.queue_flush(handle_, call.diag()));
}

std::uint64_t Queue::recover() {
  std::uint64_t last = 0;
  Call call("queue_recover");
  call.ok(session_.api.queue_recover(handle_, &last, call.diag()));
  check(last >= newest_, text("queue_recover says that %llu was the newest value, it was %llu",
                              static_cast<unsigned long long>(last), static_cast<unsigned long long>(newest_)));
  return last;
}

void Queue::recover_if_failed() {
  std::uint64_t reached = 0;
  Call call("timeline_query");
  if (call.done(session_.api.timeline_query(timeline_, &reached, call.diag())) != LKS_OK) recover();
}

void Queue::upload(const Buffer& dst, const Bytes& bytes, std::uint64_t offset) {
  wait_for(session_, timeline_, write(dst, offset, bytes.data(), bytes.size()));
}

Bytes Queue::download(const Buffer& src, std::uint64_t offset, std::uint64_t bytes) {
  Bytes all(bytes, 0xcd);
  wait_for(session_, timeline_, read(all.data(), src, offset, bytes));
  return all;
}

Mapping::Mapping(Session& session, const Buffer& buffer, std::uint64_t offset, std::uint64_t bytes)
    : session_(session), buffer_(buffer) {
  void* at = nullptr;
  Call call("buffer_map");
  call.ok(session.api.buffer_map(session.device, buffer.handle(), offset, bytes, &at, call.diag()));
  check(at != nullptr, "buffer_map succeeded without an address");
  data_ = static_cast<unsigned char*>(at);
}

Mapping::~Mapping() { session_.api.buffer_unmap(session_.device, buffer_.handle()); }

}  // namespace lockstep::conformance
