// What else to undo if an update of variables is found later to have failed on an asynchronous device.
#pragma once

#include <functional>
#include <utility>

namespace lockstep {

/// While this object exists, `undo` is attached to each update by an optimizer on this thread.
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
