// A queue. Its commands run in order on its own thread, which stands for the hardware. Enqueuing returns at once, with
// the value that the timeline reaches when the command is done.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "objects.h"

struct lks_queue {
  // The work of a command, which runs later on the queue's thread. On failure it fills in the diag. It must own its
  // data: the arguments of the call that enqueued it are gone by then.
  using Work = std::function<lks_status(lks_diag*)>;

  // Throws std::system_error if no thread can be created.
  explicit lks_queue(lks_device& device);
  // The queue must be idle.
  ~lks_queue();

  // Returns the command's value. If it throws std::bad_alloc, nothing was enqueued.
  std::uint64_t enqueue(Work work);
  // Waits until the queue is idle, clears its failure, and returns the newest value given out.
  std::uint64_t recover();

  lks_device& device;
  lks_timeline timeline;

 private:
  struct Command {
    std::uint64_t value;
    Work work;
  };

  void run();
  void execute(const Command& command);

  std::mutex mutex_;
  std::condition_variable wake_;  // there is a command, or the queue must stop
  std::condition_variable idle_;  // no command is waiting or running
  std::deque<Command> commands_;
  std::uint64_t newest_ = 0;  // the last value given out
  bool running_ = false, stop_ = false;
  std::thread thread_;  // declared last: it starts when everything else is initialized
};
