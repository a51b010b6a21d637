// The runtime suites: the rules for memory, queues, copies, threads, faults and the ABI, tested through the C
// interface. Each case is one function. It crashes or hangs if the driver does, so run it in its own process.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace lockstep::conformance {

/// The driver library and the device of it that a case is to test. Cases with random choices draw them from `seed`.
struct RuntimeTarget {
  std::string library;
  std::uint32_t ordinal = 0;
  std::uint64_t seed = 1;
};

/// The driver broke a rule; the text says what differs, with numbers.
struct CheckFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The device lacks an optional feature that the case tests. This is not a failure.
struct NotOffered : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct RuntimeCase {
  std::string suite;                  // "memory", "queue", "copy", "abi", "threads" or "fault"
  std::string name;                   // "contents_survive_other_allocations"
  std::string what;                   // one sentence: what the case proves
  void (*run)(const RuntimeTarget&);  // throws CheckFailed or NotOffered
  bool stress = false;                // slow, for the stress profile only

  std::string id() const { return suite + "/" + name; }
};

/// Every case, by suite.
const std::vector<RuntimeCase>& runtime_cases();

}  // namespace lockstep::conformance
