// What only shows in a process of its own: the first use of a driver, its unloading, and the end of the process.
#include <poll.h>

#include <chrono>

#include "conformance/runtime/alone.h"
#include "conformance/runtime/check.h"
#include "conformance/runtime/suites.h"
#include "conformance/suite/process.h"

namespace lockstep::conformance {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds max_time(45);  // below the time limit of a case

// Reads what the process writes until it ends. Returns false if it does not end in time.
bool ends_in_time(ChildProcess& child) {
  const Clock::time_point deadline = Clock::now() + max_time;
  while (Clock::now() < deadline) {
    pollfd wait{child.readable(), POLLIN, 0};
    if (poll(&wait, 1, 500) > 0 && !child.receive()) return true;
  }
  return false;
}

void alone(const RuntimeTarget& target) {
  if (alone_command().empty()) throw NotOffered("this program starts no processes; `lockstep conformance` does");
  ChildProcess child(alone_command(), {});
  child.send(text("%u ", target.ordinal) + target.library);
  const bool in_time = ends_in_time(child);
  const std::string answer = child.next_line().value_or("");
  const std::string end = child.end(), words = child.last_words();
  const std::string printed = words.empty() ? "" : "; it printed: " + words;
  const std::string how = in_time ? end : text("did not end within %d s", static_cast<int>(max_time.count()));
  if (answer.starts_with("skipped ")) throw NotOffered(answer.substr(8));
  if (answer.starts_with("failed ")) throw CheckFailed(answer.substr(7) + printed);
  check(answer == "done", "a process that only loads the driver and uses it, as the first thing: it " + how + printed);
  check(in_time && end == "ended with exit status 0",
        "a process that has used and closed the driver and returns from main: it " + how + printed);
}

}  // namespace

std::vector<RuntimeCase> alone_cases() {
  return {
      {"abi", "alone",
       "in a process of its own, and in its forked child, the driver opens, closes and unloads, prints nothing, leaves "
       "no "
       "thread, signal handler or other setting behind, and the process ends",
       &alone},
  };
}

}  // namespace lockstep::conformance
