// Failures of commands: which launch of a command has failed, and the exception for it. A failure that is found after
// the command was enqueued keeps what its text is made of. The text is made by the first thread that throws it, since
// that may run code of another language (call_site.h): not where the failure is found, which is under the queue's lock.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "api/internal/mutex.h"
#include "lockstep/error.h"
#include "runtime/command_info.h"
#include "runtime/driver_status.h"

namespace lockstep {

/// The index of the launch that failed, of `count`. 0 if the driver does not say.
inline std::size_t failed_launch(const lks_diag& diag, std::size_t count) {
  return diag.launch >= 1 && diag.launch <= count ? diag.launch - 1 : 0;
}

/// Throws for the launch `call`, which is the one that failed of `count` that were submitted together.
[[noreturn]] void raise_launch_failure(lks_status status, const lks_diag& diag, const std::string& device,
                                       DriverCall call, std::size_t count);

/// Throws for the command, or for that launch of it which failed.
[[noreturn]] void raise_command_failure(lks_status status, const lks_diag& diag, const std::string& device,
                                        const CommandInfo& command);

/// A command that failed after it was enqueued. Any thread may throw it, any number of times.
class LateFailure {
 public:
  LateFailure(lks_status status, const lks_diag& diag, std::string device, const CommandInfo& command);
  LateFailure(const LateFailure&) = delete;
  LateFailure& operator=(const LateFailure&) = delete;

  /// Not to be called with a lock that resolvers of places may need.
  [[noreturn]] void raise() const;
  /// For the log. Does not keep the text, whose places may be unknown now.
  std::string text() const;

 private:
  std::shared_ptr<const Error::Parts> known_parts() const;
  Error::Parts make_parts() const;

  const lks_status status_;
  const lks_diag diag_;
  const std::string device_, op_;
  const CallSite where_;
  const ScopeName* const scope_;
  const CallSite caller_;
  const std::size_t count_;  // of launches

  // Not held while the parts are made. If two threads make them, those of the first one are kept.
  mutable Mutex mutex_;
  mutable std::shared_ptr<const Error::Parts> parts_ LOCKSTEP_GUARDED_BY(mutex_);
};

}  // namespace lockstep
