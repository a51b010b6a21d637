// The queue's thread. When a command is done, the timeline reaches the command's value; when it fails, the timeline
// fails there.
#include "queue.h"

#include <exception>
#include <new>

#include "float_environment.h"

lks_queue::lks_queue(lks_device& d) : device(d), timeline(d.driver.host, true), thread_([this] { run(); }) {}

lks_queue::~lks_queue() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

// A real driver records the command here, or hands it to the vendor's stream with an event that signals completion.
std::uint64_t lks_queue::enqueue(Work work) {
  std::uint64_t value = 0;
  {
    std::lock_guard lock(mutex_);
    commands_.push_back({newest_ + 1, std::move(work)});
    value = ++newest_;
  }
  wake_.notify_all();
  return value;
}

// Commands after a failed one are skipped, so this waits only for the running command. If no command has failed, it
// waits for all of them; if one of those fails, the failure is not reported.
std::uint64_t lks_queue::recover() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return commands_.empty() && !running_; });
  timeline.recover(newest_);
  return newest_;
}

void lks_queue::run() {
  [[maybe_unused]] const FloatEnvironment environment;
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !commands_.empty(); });
    if (commands_.empty()) return;
    running_ = true;
    {
      const Command next = std::move(commands_.front());
      commands_.pop_front();
      lock.unlock();
      execute(next);
    }  // the command's resources are released before the queue counts as idle
    lock.lock();
    running_ = false;
    if (commands_.empty()) idle_.notify_all();
  }
}

// Called without the lock, so that commands can be enqueued meanwhile.
void lks_queue::execute(const Command& command) {
  if (timeline.has_failed()) return;  // skipped
  lks_diag diag{};
  diag.hdr.size = sizeof diag;
  lks_status status = LKS_OK;
  try {
    status = command.work(&diag);
  } catch (const std::bad_alloc&) {
    status = fail(&diag, LKS_OUT_OF_MEMORY, "no host memory while a command ran");
  } catch (const std::exception& e) {
    status = fail(&diag, LKS_INTERNAL, "a command failed: %s", e.what());
  }
  if (status == LKS_OK) {
    timeline.reach(command.value);
  } else {
    timeline.fail_at(command.value, diag);
  }
}
