// Thread-local objects that are too large for static thread-local storage.
#pragma once

#include <utility>

namespace lockstep {

/// One T per thread, allocated on the heap at first use: `static thread_local ThreadOwned<T> mine;`. A library that is
/// loaded into a running process gets only a few hundred bytes of thread-local storage; a ThreadOwned uses 16.
template <class T>
class ThreadOwned {
 public:
  ThreadOwned() = default;
  ~ThreadOwned() { delete std::exchange(object_, nullptr); }
  ThreadOwned(const ThreadOwned&) = delete;
  ThreadOwned& operator=(const ThreadOwned&) = delete;

  /// If called after the thread's objects were destroyed, allocates a new T, which is never freed.
  T& get() {
    if (!object_) [[unlikely]]
      object_ = new T();
    return *object_;
  }

 private:
  T* object_ = nullptr;
};

}  // namespace lockstep
