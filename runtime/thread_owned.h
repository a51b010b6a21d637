// Objects of a thread that are too large for its static block.
#pragma once

#include <utility>

namespace lockstep {

/// One T per thread, made on the heap at first use: `static thread_local ThreadOwned<T> mine;`. A library that is
/// loaded into a running process gets a few hundred bytes of thread-local storage, and these use 16.
template <class T>
class ThreadOwned {
 public:
  ThreadOwned() = default;
  ~ThreadOwned() { delete std::exchange(object_, nullptr); }
  ThreadOwned(const ThreadOwned&) = delete;
  ThreadOwned& operator=(const ThreadOwned&) = delete;

  /// What is asked for after the thread's objects were destroyed is made anew, and stays until the process ends.
  T& get() {
    if (!object_) [[unlikely]]
      object_ = new T();
    return *object_;
  }

 private:
  T* object_ = nullptr;
};

}  // namespace lockstep
