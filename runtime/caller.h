// Finds the user's line for calls that the library itself makes: ops within layers, losses and fit().
#pragma once

#include "lockstep/call_site.h"
#include "runtime/thread_state.h"

namespace lockstep {

/// Until the end of the scope, the library's own calls are attributed to this line. The outermost scope wins.
class [[nodiscard]] CallerScope {
 public:
  explicit CallerScope(CallSite where) : outer_(thread_state().caller) {
    if (outer_.is_empty()) thread_state().caller = where;
  }
  ~CallerScope() { thread_state().caller = outer_; }
  CallerScope(const CallerScope&) = delete;
  CallerScope& operator=(const CallerScope&) = delete;

 private:
  const CallSite outer_;
};

/// `where`, or the line of the CallerScope if `where` is in the library's own code.
CallSite user_line(CallSite where);

/// Whether `where` is in the library's own code, and therefore useless to the user.
bool is_library_line(CallSite where);
/// The same for a place of another language: its resolver knows. False if that was removed.
bool is_external_library_line(CallSite where);

}  // namespace lockstep
