// The user's line behind calls that the library makes on the user's behalf: ops within layers, losses and fit().
#pragma once

#include <source_location>

#include "runtime/thread_state.h"

namespace lockstep {

/// Calls that the library makes until the end of the scope are made for this line. The outermost scope counts.
class [[nodiscard]] CallerScope {
 public:
  explicit CallerScope(const std::source_location& where) : outer_(thread_state().caller) {
    if (!outer_) thread_state().caller = &where;
  }
  ~CallerScope() { thread_state().caller = outer_; }
  CallerScope(const CallerScope&) = delete;
  CallerScope& operator=(const CallerScope&) = delete;

 private:
  const std::source_location* outer_;
};

/// `where`, or the line that it was called for if it is one of the library's own.
std::source_location user_line(const std::source_location& where);

/// Whether `where` lies in the library's own code, so that it tells the user nothing.
bool is_library_line(const std::source_location& where);

}  // namespace lockstep
