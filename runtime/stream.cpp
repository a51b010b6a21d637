#include "lockstep/stream.h"

#include <utility>

#include "lockstep/error.h"
#include "runtime/caller.h"
#include "runtime/forked.h"
#include "runtime/stream_state.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

[[noreturn]] void fail_to_create(const std::string& device, const Error& cause, CallSite where) {
  ErrorBuilder(ErrorId::no_stream, "Stream", "there is no further queue on " + device)
      .line("driver", cause.headline())
      .at(where)
      .fix("let threads share a stream, or destroy streams that are done: their queues are used again")
      .raise();
}

}  // namespace

StreamQueue& DeviceState::lease_queue(std::uint32_t kind, CallSite where) {
  for (StreamQueue* s = streams_.load(std::memory_order_acquire); s; s = s->next) {
    if (s->kind != kind) continue;
    if (s->leased.exchange(true, std::memory_order_acq_rel)) continue;
    if (s->queue.is_free()) return *s;
    s->leased.store(false, std::memory_order_release);
  }
  std::unique_ptr<StreamQueue> added;
  try {
    added = std::make_unique<StreamQueue>(*this, kind);
  } catch (const Error& e) {
    if (e.id() == ErrorId::device_lost) throw;
    fail_to_create(name(), e, where);
  }
  const LockGuard lock(creation_mutex_);
  allocator_->expect_streams();
  added->next = streams_.load(std::memory_order_relaxed);
  streams_.store(added.get(), std::memory_order_release);
  return *added.release();
}

// The thread's innermost scope for this device, or nullptr.
const StreamScope* DeviceState::stream_scope() const {
  const StreamScope* scope = thread_state().stream;
  while (scope && &scope->stream_.state_->device != this) scope = scope->outer_;
  return scope;
}

CommandQueue& DeviceState::scoped_queue() {
  const StreamScope* scope = stream_scope();
  return scope ? scope->stream_.state_->queue : *queue_;
}

void DeviceState::synchronize_stream() {
  check_not_forked();
  if (const StreamScope* scope = stream_scope()) {
    scope->stream_.state_->synchronize();
  } else {
    queue_->synchronize();
  }
}

Stream Stream::create(Device device, CallSite where) { return of_kind(LKS_QUEUE_COMPUTE, device, where); }

Stream Stream::create_for_transfers(Device device, CallSite where) {
  return of_kind(LKS_QUEUE_TRANSFER, device, where);
}

Stream Stream::of_kind(std::uint32_t kind, Device device, CallSite where) {
  check_not_forked();
  const CallerScope caller(where);
  DeviceState& state = device.state();
  if (state.own_queue().is_inline()) return default_of(device);
  StreamQueue& leased = state.lease_queue(kind, where);
  return Stream(std::make_shared<State>(state, leased.queue, &leased));
}

Stream Stream::default_of(Device device) {
  check_not_forked();
  DeviceState& state = device.state();
  return Stream(std::make_shared<State>(state, state.own_queue(), nullptr));
}

Device Stream::device(CallSite where) const { return state_.at(where).device.device(); }

void Stream::synchronize(CallSite where) const {
  const State& state = state_.at(where);
  check_not_forked();
  const CallerScope caller(where);
  state.synchronize(&where);
}

bool operator==(const Stream& a, const Stream& b) {
  if (!a.state_ || !b.state_) return a.state_.get() == b.state_.get();
  return &a.state_->queue == &b.state_->queue;
}

StreamScope::StreamScope(const Stream& stream, CallSite where) : stream_(stream), outer_(thread_state().stream) {
  stream.state_.check(where);
  check_not_forked();
  // An inline queue is the device's only one.
  if (!stream.state_->queue.is_inline()) thread_state().stream = this;
}

// Nothing is to be done for an inline queue, whose scope is not in the list.
StreamScope::~StreamScope() {
  for (const StreamScope** at = &thread_state().stream; *at; at = &(*at)->outer_) {
    if (*at != this) continue;
    *at = outer_;
    return;
  }
}

}  // namespace lockstep
