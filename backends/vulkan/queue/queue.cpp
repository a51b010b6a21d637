#include "backends/vulkan/queue/queue.h"

#include <algorithm>
#include <thread>

using namespace vulkan;

namespace {

// A batch is submitted when it has this many commands: few at first, so that the device starts early, then more.
constexpr unsigned min_commands = 64, max_commands = 512;
constexpr std::uint64_t max_staged_bytes = std::uint64_t{32} << 20;
constexpr std::uint64_t forever = ~std::uint64_t{0};
constexpr std::uint64_t poll_ns = 500'000;  // how long to wait for one of two events before polling the other

lks_diag failure_in(const State& state) {
  lks_diag diag = empty_diag();
  host::fail_index(&diag, HOST_WHERE, state.index, state.position, state.axis, state.extent);
  host::set_launch(&diag, state.launch);
  return diag;
}

lks_diag exceeded_time_limit(const lks_device& device, unsigned commands) {
  lks_diag diag = empty_diag();
  host::fail(&diag, LKS_DEVICE_LOST, HOST_WHERE,
             "the device has not finished %u commands within %g s, the limit of vulkan.timeout", commands,
             static_cast<double>(device.time_limit_ns) * 1e-9);
  std::snprintf(diag.hint, sizeof diag.hint,
                "raise vulkan.timeout or give the device less at once, and restart the program");
  return diag;
}

}  // namespace

lks_queue::lks_queue(lks_device& d, std::uint32_t kind)
    : device(d), kind_(kind), params_(d.params), staging_(d.staging), batch_limit_(min_commands) {
  // In the memory of parameters: every workgroup of every dispatch reads it, the host only once per batch.
  state_allocation_ =
      device.allocator.make(device.properties.params_memory_type, sizeof(State), true, "vulkan.queue_state");
  state_ = new (state_allocation_.mapped) State;
  const VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO, nullptr,
                                       VK_SEMAPHORE_TYPE_TIMELINE, 0};
  const VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type, 0};
  const VkResult result = device.vk.vkCreateSemaphore(device.handle, &info, nullptr, &done_);
  if (result != VK_SUCCESS) device.allocator.free(state_allocation_);
  check(result, "vkCreateSemaphore", HOST_WHERE);
  timeline.queue = this;
  command_.emplace(device, params_, staging_, state_allocation_.address, !runs_kernels());
}

bool lks_queue::close() {
  {
    // Commands that nobody waited for are still in flight, or were never submitted.
    Lock lock(mutex_);
    close_batch(lock);
    idle_.wait(lock, [this] { return is_idle(); });
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  return !may_still_be_running();
}

lks_queue::~lks_queue() {
  if (!stop_) close();
  device.vk.vkDestroySemaphore(device.handle, done_, nullptr);
  device.allocator.free(state_allocation_);
}

// ----------------------------------------------------------------------------------------------------------- recording

Batch& lks_queue::open_batch() {
  if (batch_) return *batch_;
  std::unique_ptr<Batch> batch;
  if (spare_.empty()) {
    batch = std::make_unique<Batch>(device, !runs_kernels());
  } else {
    batch = std::move(spare_.back());
    spare_.pop_back();
  }
  batch->begin();
  batch_ = std::move(batch);
  return *batch_;
}

std::uint64_t lks_queue::enqueue(const std::function<void(Command&)>& plan_command) {
  device.check_usable();
  // Recording allocates from the command pool.
  VULKAN_FAULT_POINT(device.host, LKS_FAULT_ALLOC, "vulkan.record_alloc");
  {
    const std::lock_guard lock(mutex_);
    if (failed_) return ++newest_;
  }
  Command& command = *command_;
  command.begin(newest_ + 1);
  try {
    plan_command(command);  // without the lock: it may call the host
    Lock lock(mutex_);
    if (failed_) {
      command.drop();
      return ++newest_;
    }
    start_thread();  // it may throw, so before anything is enqueued
    stuck_.reserve(stuck_.size() + in_flight_.size() + pending_submits_.size() + 1);
    Batch& batch = open_batch();
    batch.make_room(command);
    batch.record(command, ++newest_);
    if (batch.count() >= batch_limit_ || batch.staged_bytes > max_staged_bytes) {
      batch_limit_ = std::min(2 * batch_limit_, max_commands);
      close_batch(lock);
    }
  } catch (...) {
    command.drop();
    throw;
  }
  return newest_;
}

void lks_queue::wait_for(lks_timeline& other, std::uint64_t value) {
  device.check_usable();
  Lock lock(mutex_);
  if (failed_) {
    ++newest_;
    return;
  }
  start_thread();
  close_batch(lock);
  PendingSubmit held;
  held.timeline = &other;
  held.wanted = value;
  held.value = ++newest_;
  pending_submits_.push_back(std::move(held));
  wake_.notify_all();
}

void lks_queue::flush() {
  Lock lock(mutex_);
  batch_limit_ = min_commands;
  close_batch(lock);
}

// ---------------------------------------------------------------------------------------------------------- submitting

void lks_queue::start_thread() {
  if (!thread_.joinable()) thread_.start([this] { run(); });
}

void lks_queue::close_batch(Lock& lock) {
  if (!batch_ || batch_->empty()) return;
  PendingSubmit held;
  held.batch = std::move(batch_);
  pending_submits_.push_back(std::move(held));
  submit_to_device(lock);
}

// Submits the batches up to the next wait. The lock is released meanwhile, because the host's fault points may call
// back; only one thread submits at a time, so that batches keep their order.
void lks_queue::submit_to_device(Lock& lock) {
  if (is_submitting_) return;
  is_submitting_ = true;
  const auto done = [this](void*) {
    is_submitting_ = false;
    wake_.notify_all();
    if (is_idle()) idle_.notify_all();
  };
  const std::unique_ptr<void, decltype(done)> whatever_happens(this, done);
  while (!pending_submits_.empty() && pending_submits_.front().batch) {
    std::unique_ptr<Batch> batch = std::move(pending_submits_.front().batch);
    pending_submits_.pop_front();
    if (failed_) {
      discard(std::move(batch));  // the queue has failed since it was recorded
    } else {
      submit(lock, std::move(batch));
    }
  }
}

void lks_queue::submit(Lock& lock, std::unique_ptr<Batch> batch) {
  InFlight in_flight;
  in_flight.first = batch->first;
  in_flight.last = batch->last;
  const std::uint64_t serial = serial_ + 1;
  lks_diag diag = empty_diag();
  lock.unlock();
  const lks_status status = guard(&diag, [&] {
    if (lks_diag lost = empty_diag(); device.health(&lost) != LKS_OK) throw Failure(lost);
    batch->end();
    VkTimelineSemaphoreSubmitInfo signal{VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
    signal.signalSemaphoreValueCount = 1;
    signal.pSignalSemaphoreValues = &serial;
    VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO, &signal};
    const VkCommandBuffer commands = batch->commands();
    info.commandBufferCount = 1;
    info.pCommandBuffers = &commands;
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = &done_;
    device.submit(info, kind_);
  });
  lock.lock();
  if (status == LKS_OK) {
    in_flight.serial = serial_ = serial;
    in_flight.batch = std::move(batch);
  } else {
    failed_ = true;
    if (status == LKS_DEVICE_LOST) device.note_lost(diag);
    in_flight.failure = diag;
    discard(std::move(batch));
  }
  in_flight_.push_back(std::move(in_flight));
}

void lks_queue::discard(std::unique_ptr<Batch> batch) {
  batch->reset();
  spare_.push_back(std::move(batch));
}

// --------------------------------------------------------------------------------------------------------- the thread

void lks_queue::run() {
  Lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !in_flight_.empty() || (!pending_submits_.empty() && !is_submitting_); });
    if (in_flight_.empty() && pending_submits_.empty()) return;
    submit_pending(lock);
    if (!in_flight_.empty()) retire_oldest(lock);
    if (is_idle()) idle_.notify_all();
  }
}

// Submits what is held, up to the first wait for a timeline that has not reached its value.
void lks_queue::submit_pending(Lock& lock) {
  while (!pending_submits_.empty() && !is_submitting_) {
    if (pending_submits_.front().batch) {
      submit_to_device(lock);
      continue;
    }
    if (failed_) {
      pending_submits_.pop_front();
      continue;
    }
    lks_timeline& other = *pending_submits_.front().timeline;
    const std::uint64_t wanted = pending_submits_.front().wanted, value = pending_submits_.front().value;
    const std::uint64_t time_limit = in_flight_.empty() ? poll_ns : 0;
    lks_diag diag = empty_diag();
    lock.unlock();
    // The command that is waited for may be recorded but not submitted.
    if (other.queue && other.queue != this) other.queue->flush();
    const lks_status status = other.wait(wanted, time_limit, &diag);
    lock.lock();
    if (status == LKS_TIMEOUT) return;
    pending_submits_.pop_front();
    InFlight in_flight;
    in_flight.first = in_flight.last = value;
    if (status != LKS_OK) {
      failed_ = true;
      host::clear_launch(&diag);
      in_flight.failure = diag;
    }
    in_flight_.push_back(std::move(in_flight));
  }
}

// Waits, without the lock, until the device has reached `serial`. Returns LKS_TIMEOUT if it has not in time, or if the
// wait itself failed and must be retried.
lks_status lks_queue::wait_for_serial(Lock& lock, std::uint64_t serial, std::uint64_t time_limit, lks_diag& diag) {
  const VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO, nullptr, 0, 1, &done_, &serial};
  VkResult result = VK_SUCCESS;
  lock.unlock();
  const lks_status status = guard(&diag, [&] {
    VULKAN_FAULT_POINT(device.host, LKS_FAULT_WAIT, "vulkan.wait");
    result = device.vk.vkWaitSemaphores(device.handle, &info, time_limit);
    check(result, "vkWaitSemaphores", HOST_WHERE);
  });
  if (result != VK_TIMEOUT && status != LKS_OK && status != LKS_DEVICE_LOST) {
    // The wait failed, for lack of memory for example, but the device works on. One wait for the timeline returns this
    // failure.
    timeline.fail_a_wait(diag);
    std::this_thread::sleep_for(std::chrono::nanoseconds(poll_ns));
    result = VK_TIMEOUT;
  }
  lock.lock();
  return result == VK_TIMEOUT ? lks_status{LKS_TIMEOUT} : status;
}

// The same for the oldest batch in flight. Returns LKS_DEVICE_LOST once it has taken longer than `vulkan.timeout`.
lks_status lks_queue::await_within_limit(Lock& lock, InFlight& in_flight, std::uint64_t serial,
                                         std::uint64_t time_limit, lks_diag& diag) {
  if (device.is_lost()) return device.health(&diag);
  if (device.time_limit_ns == forever) return wait_for_serial(lock, serial, time_limit, diag);
  const auto now = lks_device::Clock::now();
  if (in_flight.since == lks_device::Clock::time_point{}) in_flight.since = now;
  const auto begun = std::max(in_flight.since, device.last_progress(kind_));
  const auto gone =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, std::chrono::nanoseconds(now - begun).count()));
  if (gone < device.time_limit_ns)
    return wait_for_serial(lock, serial, std::min(time_limit, device.time_limit_ns - gone), diag);
  diag = exceeded_time_limit(device, in_flight.batch->count());
  device.mark_timed_out(diag);
  return LKS_DEVICE_LOST;
}

// Whether the device may still be running batches after a timeout. If the Vulkan driver reports it as lost, nothing is
// still running.
bool lks_queue::may_still_be_running() {
  constexpr std::uint64_t second = 1'000'000'000;
  if (stuck_.empty()) return false;
  const VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO, nullptr, 0, 1, &done_, &serial_};
  const std::uint64_t time_limit = device.is_abandoned() ? 0 : std::min(second, device.time_limit_ns);
  return device.vk.vkWaitSemaphores(device.handle, &info, time_limit) == VK_TIMEOUT;
}

// Waits for the oldest flight and reports its result. If something is held, the wait is short, so that the timelines
// that held batches wait for are polled too.
void lks_queue::retire_oldest(Lock& lock) {
  InFlight& in_flight = in_flight_.front();
  lks_status status = LKS_OK;
  lks_diag diag = empty_diag();
  if (in_flight.batch) {
    status = await_within_limit(lock, in_flight, in_flight.serial, pending_submits_.empty() ? forever : poll_ns, diag);
    if (status == LKS_TIMEOUT) return;
    if (status == LKS_OK) device.note_progress(kind_);
    // A later batch may be running and writing its own failure. The failed command can be read only once all submitted
    // batches are done.
    in_flight.a_command_failed = status == LKS_OK && state_->failed != 0;
    if (in_flight.a_command_failed) {
      // The serial of a batch that is being submitted is not known yet.
      wake_.wait(lock, [this] { return !is_submitting_; });
      do {
        status = await_within_limit(lock, in_flight, serial_, forever, diag);
      } while (status == LKS_TIMEOUT);
    }
  }
  InFlight landed = std::move(in_flight_.front());
  in_flight_.pop_front();
  finish(landed, status, diag);
}

void lks_queue::finish(InFlight& in_flight, lks_status status, lks_diag& diag) {
  if (in_flight.failure) {
    fail(*in_flight.failure, in_flight.first);
  } else if (status != LKS_OK) {
    failed_ = true;
    device.note_lost(diag);
    fail(diag, in_flight.first);
  } else if (!timeline.failed()) {
    if (in_flight.batch) {
      report(in_flight);
    } else {
      timeline.reach(in_flight.last);
    }
  }
  // A batch that a lost device may still be running is never reused.
  if (!in_flight.batch) return;
  status == LKS_OK ? discard(std::move(in_flight.batch)) : stuck_.push_back(std::move(in_flight.batch));
}

void lks_queue::report(const InFlight& in_flight) {
  const bool has_failed = in_flight.a_command_failed && state_->value <= in_flight.last;
  const std::uint64_t done = has_failed ? state_->value - 1 : in_flight.last;
  for (const HostCopy& r : in_flight.batch->host_copies) {
    if (r.value <= done) std::memcpy(r.to, r.from, r.bytes);
  }
  timeline.reach(done);
  if (!has_failed) return;
  failed_ = true;
  timeline.fail(failure_in(*state_), state_->value);
}

// The timeline keeps its first failure.
void lks_queue::fail(const lks_diag& diag, std::uint64_t value) {
  if (!timeline.failed()) timeline.fail(diag, value);
}

std::uint64_t lks_queue::recover() {
  Lock lock(mutex_);
  if (batch_ && failed_) discard(std::move(batch_));
  close_batch(lock);
  idle_.wait(lock, [this] { return is_idle(); });
  lks_diag lost = empty_diag();
  if (device.health(&lost) != LKS_OK) throw Failure(lost);
  state_->failed = 0;
  failed_ = false;
  timeline.recover(newest_);
  return newest_;
}

namespace vulkan {

void destroy_or_abandon(lks_queue* queue) {
  if (queue->close()) {
    delete queue;
  } else {
    queue->device.abandon(*queue);
  }
}

void run_and_wait(lks_device& device, const std::function<void(Command&)>& plan_command) {
  const std::unique_ptr<lks_queue, void (*)(lks_queue*)> queue(new lks_queue(device), &destroy_or_abandon);
  const std::uint64_t value = queue->enqueue(plan_command);
  queue->flush();
  lks_diag diag = empty_diag();
  if (queue->timeline.wait(value, ~std::uint64_t{0}, &diag) != LKS_OK) throw Failure(diag);
}

}  // namespace vulkan
