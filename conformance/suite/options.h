// What `lockstep conformance` is asked to do.
#pragma once

#include <cstdint>
#include <string>

namespace lockstep::conformance {

struct Options {
  std::string device;   // "cpu:0"; or
  std::string driver;   // a driver library, whose first device is meant
  std::string profile;  // "core", "train", "lockstep", "stress"; empty: all that the device offers but stress
  std::string op;       // a pattern with * and ?; empty: all, and the runtime suites
  std::string suite;    // names with commas between, such as "memory,fault"; empty: all
  std::string dtype, mode;
  std::string bounds;     // a file instead of the built-in bounds
  std::string only_case;  // one case by its id
  std::uint64_t seed = 1;
  std::uint32_t shard = 1, shards = 1;
  unsigned jobs = 0;       // worker processes; 0: as many as suit the device
  double timeout_s = 60;   // for one case
  bool fail_fast = false;  // stop at the first failure
};

/// Whether `text` fits a pattern of * and ?.
bool fits_pattern(const std::string& pattern, const std::string& text);

/// Whether a case of that suite is asked for.
bool wants_suite(const Options& options, const std::string& suite);

/// Throws UsageError LS9001 for profiles, suites, dtypes and modes that there are not, and for ops that no pattern
/// meets.
void check_options(const Options& options);

}  // namespace lockstep::conformance
