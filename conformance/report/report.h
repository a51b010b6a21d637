// What a conformance run found, as one value: what was run, and what each case came to. Everything that a report shows
// is computed from it, so that shards can be merged and old reports rendered anew.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "conformance/suite/result.h"

namespace lockstep::conformance {

/// Kernels of an op that the driver has, and those that ran.
struct VariantCoverage {
  std::string op;
  std::vector<std::string> known, hit;
};

/// How the driver carries out an op.
struct OpPlacement {
  enum class How : std::uint8_t { native, decomposed, refused };
  std::string op, dtype, mode;
  How how = How::native;
  std::string text;  // what it is decomposed to, or why it is refused
};

/// What was run, on what. Texts are empty where the driver does not say.
struct RunInfo {
  std::string driver, driver_vendor, driver_version, build_id;
  std::string library, library_sha256;  // path of the driver's file and the hash of its bytes
  std::string driver_option;            // what was given as --driver; a replay needs it too
  std::string device, device_name, device_version, device_type, device_uuid;
  std::string lockstep_version, suite_version;
  unsigned abi_major = 0, abi_minor = 0;
  std::string profile;
  std::vector<std::string> modes;
  std::uint64_t seed = 0;
  std::string shard;  // "2/4"; empty where everything was run
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
  std::int64_t cells = 0, cells_passed = 0;  // an op, dtype and mode, of which no case failed or was refused
  std::int64_t required_missing = 0;         // required cells of which a case was refused
  double worst_ulp = 0;                      // over cases whose bound is in ULP; infinite where a NaN was wrong
  double seconds = 0;
  std::string digest;

  /// A run without cases proves nothing.
  bool all_passed() const { return cases > 0 && failed + crashed + timed_out + mistrusted + required_missing == 0; }
};

/// All cases of one op, dtype and mode, of one suite or of all.
struct Cell {
  std::string op, dtype, mode;
  std::string suite;                // empty: all of them
  Outcome outcome = Outcome::pass;  // the gravest; a refusal counts only if nothing passed, or if it was required
  bool required = false;
  bool native = false;  // every case that passed was one kernel
  std::int64_t cases = 0, passed = 0, unsupported = 0;
  ErrorStatistics errors;  // the largest of each; the mean over all elements
  std::string bound;       // of the case that comes closest to it
  std::string worst_case;  // id of the case with the largest error
  std::string text;        // of the gravest case
  std::string gravest_case;
  double seconds = 0;
};

/// In the order in which ops, dtypes, modes and suites first appear.
struct Cells {
  std::vector<Cell> total;     // over suites
  std::vector<Cell> by_suite;  // one by one
};

Totals totals_of(const Report& report);
Cells cells_of(const Report& report);

/// SHA-256 over the cases sorted by id: id, outcome, and the numbers that were measured. Two runs with the same digest
/// found the same; times are no part of it.
std::string digest_of(const std::vector<CaseResult>& cases);

/// True where `outcome` is a failure of the driver, whether the case was required or not.
bool is_failure(Outcome outcome);

/// Failures first by how grave they are, then required refusals; in the order of the run within each.
std::vector<const CaseResult*> failures_of(const Report& report);

/// "lockstep conformance --device cpu:0 --case 'matmul/f32/…'", with everything that the case depends on.
std::string replay_line(const RunInfo& run, const std::string& id);

/// One report out of those of several shards. Throws UsageError LS9001 where they are not of one run (driver file,
/// device, versions, profile, seed, filters and bounds must agree), or share a case.
Report merge(const std::vector<Report>& shards);

}  // namespace lockstep::conformance
