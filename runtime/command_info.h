// What the host stores for a command of a device queue until it is done.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "lockstep/call_site.h"
#include "lockstep/scope.h"
#include "runtime/thread_state.h"

namespace lockstep {

/// One of several calls that are submitted as one command.
struct LaunchInfo {
  const char* op = "";  // static string or interned name
  CallSite where;
};

struct CommandInfo {
  const char* op = "";  // static string or interned name
  CallSite where;
  const ScopeName* scope = thread_state().scope;
  std::vector<LaunchInfo> launches;  // if the command has several launches: one for each
  std::shared_ptr<const void> keep;  // kept alive until the command is done: kernels, host memory
  std::function<void()> undo;        // restores host state if the command turns out to have failed
  std::function<void()> again;       // enqueues the command again if it was skipped because an earlier one failed
  bool copied = false;               // an upload of bytes that the driver has copied; set by write_copied()
  CallSite caller = thread_state().caller;  // replaces `where` in errors if that is a line of the library
};

}  // namespace lockstep
