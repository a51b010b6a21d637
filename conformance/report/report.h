// The data of a conformance run: its parameters and the result of each case. Everything else in a report is computed
// from them, so that shards can be merged and old reports rendered again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "conformance/suite/result.h"

namespace lockstep::conformance {

/// The kernel variants of an op that the driver lists, and those that ran.
struct VariantCoverage {
  std::string op;
  std::vector<std::string> known, hit;
};

/// How the driver executes an op.
struct OpPlacement {
  enum class How : std::uint8_t { native, decomposed, refused };
  std::string op, dtype, mode;
  How how = How::native;
  std::string text;  // the ops it is decomposed into, or why it is refused
};

/// The parameters of the run, the driver and the device. Texts are empty if the driver does not provide them.
struct RunInfo {
  std::string driver, driver_vendor, driver_version, build_id;
  std::string library, library_sha256;  // path of the driver library and the hash of its bytes
  std::string driver_option;            // the value of --driver, which a replay needs
  std::string device, device_name, device_version, device_type, device_uuid;
  std::string lockstep_version, suite_version;
  unsigned abi_major = 0, abi_minor = 0;
  std::string profile;
  std::vector<std::string> modes;
  std::uint64_t seed = 0;
  std::string shard;  // "2/4"; empty if everything was run
  std::string op_filter, dtype_filter, mode_filter, suite_filter, case_filter;
  unsigned threads = 0;
  std::string date;  // ISO 8601
  double seconds = 0;
  std::string bounds_file, bounds_sha256;
  std::vector<VariantCoverage> variants;
  std::vector<OpPlacement> placements;
};

struct Report {
  RunInfo run;
  std::vector<CaseResult> cases;
};

struct Totals {
  std::int64_t cases = 0, passed = 0, failed = 0, crashed = 0, timed_out = 0, mistrusted = 0, unsupported = 0;
  std::int64_t cells = 0, cells_passed = 0;  // cells per op, dtype and mode; those in which every case passed
  std::int64_t required_missing = 0;         // cells (or runtime suites) with a refused required case
  double worst_ulp = 0;                      // over cases whose bound is in ULP; infinite for a wrong NaN
  double seconds = 0;
  std::string digest;

  /// False for a run without cases, which proves nothing.
  bool all_passed() const { return cases > 0 && failed + crashed + timed_out + mistrusted + required_missing == 0; }
};

/// All cases of one op, dtype and mode, in one suite or in all.
struct Cell {
  std::string op, dtype, mode;
  std::string suite;                // empty: all suites
  Outcome outcome = Outcome::pass;  // the gravest; an optional refusal counts only if nothing passed
  bool required = false;
  bool native = false;  // every case that passed was executed by one kernel
  std::int64_t cases = 0, passed = 0, unsupported = 0;
  ErrorStatistics errors;  // the maximum of each over the cases; the mean is over all elements
  std::string bound;       // of the case with the largest share of its bound
  std::string worst_case;  // id of the case with the largest error
  std::string text;        // of the gravest case
  std::string gravest_case;
  double seconds = 0;
};

/// In the order in which ops, dtypes, modes and suites first appear.
struct Cells {
  std::vector<Cell> total;     // over all suites
  std::vector<Cell> by_suite;  // one per suite
};

Totals totals_of(const Report& report);
Cells cells_of(const Report& report);

/// SHA-256 over the cases sorted by id: id, outcome and measured errors, but not times. Runs with the same results have
/// the same digest.
std::string digest_of(const std::vector<CaseResult>& cases);

/// Whether `outcome` is a failure, whether the case was required or not.
bool is_failure(Outcome outcome);

/// Failures by severity, then required refusals; within each severity in the order of the run.
std::vector<const CaseResult*> failures_of(const Report& report);

/// "lockstep conformance --device cpu:0 --case 'matmul/f32/…'", with all options that the case depends on.
std::string replay_line(const RunInfo& run, const std::string& id);

/// Merges the reports of several shards into one. Throws UsageError LS9001 if they are not of one run (driver file,
/// device, versions, profile, modes, seed, filters and bounds must agree) or have a case in common.
Report merge(const std::vector<Report>& shards);

}  // namespace lockstep::conformance
