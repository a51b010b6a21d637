// The runtime suites: what a driver promises about memory, queues, copies, threads, faults and its ABI, tested through
// the C interface alone. Each case is one function; it may crash or hang where the driver does, so run it isolated.
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

/// The driver did not keep a promise: what differs, with numbers.
struct CheckFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The device lacks something optional that the case is about: no failure.
struct NotOffered : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct RuntimeCase {
  std::string suite;                  // "memory", "queue", "copy", "abi", "threads" or "fault"
  std::string name;                   // "contents_survive_other_allocations"
  std::string what;                   // one sentence: what it proves
  void (*run)(const RuntimeTarget&);  // throws CheckFailed or NotOffered
  bool stress = false;                // takes long: for the stress profile only

  std::string id() const { return suite + "/" + name; }
};

/// Every case, by suite.
const std::vector<RuntimeCase>& runtime_cases();

}  // namespace lockstep::conformance
