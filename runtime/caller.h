// Finds the user's line for calls that the library itself makes: ops within layers, losses and fit().
#pragma once

#include <source_location>

#include "lockstep/call_site.h"
#include "runtime/thread_state.h"

namespace lockstep {

/// Until the end of the scope, the library's own calls are attributed to this line. The outermost scope wins.
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

/// `where`, or the line of the CallerScope if `where` is in the library's own code.
std::source_location user_line(const std::source_location& where);

/// Whether `where` is in the library's own code, and therefore useless to the user.
bool is_library_line(const std::source_location& where);
/// The same for a place of another language: its resolver knows. False if that was removed.
bool is_external_library_line(CallSite where);

}  // namespace lockstep
