// A queue: its commands run in order on a thread of its own, which stands for the hardware. What enqueues a command
// returns at once with the value that the timeline will reach when the command is done.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "objects.h"

struct lks_queue {
  // What a command does, later and on the queue's thread. Where it fails it fills in the diag. It holds what it needs:
  // the arguments of the call that enqueued it are gone by then.
  using Work = std::function<lks_status(lks_diag*)>;

  // Throws std::system_error where there can be no more threads.
  explicit lks_queue(lks_device& device);
  // Of an idle queue: no command that still counts is left.
  ~lks_queue();

  // Returns the command's value. Throws std::bad_alloc, and then nothing is enqueued.
  std::uint64_t enqueue(Work work);
  // Returns the newest value given out, when nothing of the queue runs or waits any more.
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
  std::condition_variable wake_;  // there is a command, or the end has come
  std::condition_variable idle_;  // there is none, and none runs
  std::deque<Command> commands_;
  std::uint64_t newest_ = 0;  // value given out
  bool running_ = false, stop_ = false;
  std::thread thread_;  // last: it starts when all else is there
};
