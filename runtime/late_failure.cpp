#include "runtime/late_failure.h"

#include <algorithm>
#include <utility>

namespace lockstep {
namespace {

LaunchInfo failed_part(const lks_diag& diag, const CommandInfo& command) {
  if (command.launches.empty()) return {command.op, command.where};
  return command.launches[failed_launch(diag, command.launches.size())];
}

// Until the end of the scope, this is the thread's caller, also if it has another one.
class CallerOf {
 public:
  explicit CallerOf(CallSite caller) : before_(std::exchange(thread_state().caller, caller)) {}
  ~CallerOf() { thread_state().caller = before_; }
  CallerOf(const CallerOf&) = delete;
  CallerOf& operator=(const CallerOf&) = delete;

 private:
  const CallSite before_;
};

std::size_t launch_count(const CommandInfo& command) { return std::max<std::size_t>(command.launches.size(), 1); }

}  // namespace

void raise_launch_failure(lks_status status, const lks_diag& diag, const std::string& device, DriverCall call,
                          std::size_t count) {
  if (diag.launch == 0 || diag.launch > count) call.first_of = count;
  raise_driver_failure(status, diag, device, call);
}

void raise_command_failure(lks_status status, const lks_diag& diag, const std::string& device,
                           const CommandInfo& command) {
  const LaunchInfo failed = failed_part(diag, command);
  const DriverCall call{failed.op, failed.where.is_empty() ? nullptr : &failed.where};
  raise_launch_failure(status, diag, device, call, launch_count(command));
}

LateFailure::LateFailure(lks_status status, const lks_diag& diag, std::string device, const CommandInfo& command)
    : status_(status),
      diag_(diag),
      device_(std::move(device)),
      op_(failed_part(diag, command).op),
      where_(failed_part(diag, command).where),
      scope_(command.scope),
      caller_(command.caller),
      count_(launch_count(command)) {}

void LateFailure::raise() const {
  std::shared_ptr<const Error::Parts> parts = known_parts();
  if (!parts) {
    parts = std::make_shared<const Error::Parts>(make_parts());
    const LockGuard lock(mutex_);
    if (!parts_) parts_ = parts;
  }
  rethrow(*parts);
}

std::string LateFailure::text() const {
  const std::shared_ptr<const Error::Parts> parts = known_parts();
  return parts ? parts->text : make_parts().text;
}

std::shared_ptr<const Error::Parts> LateFailure::known_parts() const {
  const LockGuard lock(mutex_);
  return parts_;
}

Error::Parts LateFailure::make_parts() const {
  try {
    const NameScope scope(scope_);
    const CallerOf caller(caller_);
    raise_launch_failure(status_, diag_, device_, {op_, where_.is_empty() ? nullptr : &where_}, count_);
  } catch (const Error& e) {
    return e.parts();
  }
}

}  // namespace lockstep
