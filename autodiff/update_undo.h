// What else is to be taken back when an update of variables turns out, later, to have failed on an asynchronous device.
#pragma once

#include <functional>
#include <utility>

namespace lockstep {

/// While it lives, each update by an optimizer on this thread carries `undo` along.
class UndoWithUpdate {
 public:
  explicit UndoWithUpdate(std::function<void()> undo) : outer_(std::exchange(current(), std::move(undo))) {}
  ~UndoWithUpdate() { current() = std::move(outer_); }
  UndoWithUpdate(const UndoWithUpdate&) = delete;
  UndoWithUpdate& operator=(const UndoWithUpdate&) = delete;

  static std::function<void()>& current() {
    static thread_local std::function<void()> undo;
    return undo;
  }

 private:
  std::function<void()> outer_;
};

}  // namespace lockstep
