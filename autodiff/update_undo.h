// What else to undo if an update of variables is found later to have failed on an asynchronous device.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

namespace lockstep {

class CommandQueue;

/// While this object exists, `undo` is attached to each update by an optimizer on this thread. `note` is called after
/// such an update was enqueued, with its queue and its value on the timeline or a later one: `undo` runs if that
/// command fails or is skipped.
class UndoWithUpdate {
 public:
  using Undo = std::function<void()>;
  using Note = std::function<void(CommandQueue& queue, std::uint64_t value)>;

  UndoWithUpdate(Undo undo, Note note)
      : undo_(std::move(undo)), note_(std::move(note)), outer_(std::exchange(innermost(), this)) {}
  ~UndoWithUpdate() { innermost() = outer_; }
  UndoWithUpdate(const UndoWithUpdate&) = delete;
  UndoWithUpdate& operator=(const UndoWithUpdate&) = delete;

  const Undo& undo() const { return undo_; }
  void note(CommandQueue& queue, std::uint64_t value) const { note_(queue, value); }

  /// This thread's innermost one, or nullptr.
  static const UndoWithUpdate* current() { return innermost(); }

 private:
  static const UndoWithUpdate*& innermost() {
    static thread_local const UndoWithUpdate* object = nullptr;
    return object;
  }

  const Undo undo_;
  const Note note_;
  const UndoWithUpdate* const outer_;
};

}  // namespace lockstep
