// The options of `lockstep conformance`.
#pragma once

#include <cstdint>
#include <string>

namespace lockstep::conformance {

struct Options {
  std::string device;   // "cpu:0"; either this or `driver` is set
  std::string driver;   // a driver library, of which the first device is tested
  std::string profile;  // "core", "train", "lockstep", "stress"; empty: all cases for the device except stress
  std::string op;       // a pattern with * and ?; empty: all, and the runtime suites
  std::string suite;    // names separated by commas, such as "memory,fault"; empty: all
  std::string dtype, mode;
  std::string bounds;     // a file instead of the built-in bounds
  std::string only_case;  // one case by its id
  std::uint64_t seed = 1;
  std::uint32_t shard = 1, shards = 1;
  unsigned jobs = 0;       // worker processes; 0: a default for the device
  double timeout_s = 60;   // for one case
  bool fail_fast = false;  // stop at the first failure
};

/// Whether `text` matches a pattern with * and ?.
bool fits_pattern(const std::string& pattern, const std::string& text);

/// Whether the options select that suite.
bool wants_suite(const Options& options, const std::string& suite);

/// Throws UsageError LS9001 for unknown profiles, suites, dtypes and modes, for a pattern that matches no op, for an
/// invalid shard, and unless exactly one of `device` and `driver` is set.
void check_options(const Options& options);

}  // namespace lockstep::conformance
