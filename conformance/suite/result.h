// The result of one conformance case.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::conformance {

enum class Outcome : std::uint8_t {
  pass,
  fail,         // a wrong result, or no error where one is required
  crash,        // the worker process ended
  timeout,      // not finished in time
  unsupported,  // the driver refused, with a reason; a failure only if the profile requires the case
  mistrusted,   // the case cannot tell right from wrong results
};
const char* name_of(Outcome outcome);

/// The errors of a floating-point result, compared with the exact values.
struct ErrorStatistics {
  std::int64_t elements = 0;  // number of elements compared; 0 if no errors were measured
  double max_ulp = 0;         // in ULP of the exact result, or of the operands if terms cancel
  double p99_ulp = 0;
  double mean_signed_ulp = 0;  // not near 0 if results are truncated instead of rounded
  double share = 0;            // the largest error, divided by the bound
  std::string worst;           // the element with the largest error: inputs, result and exact value
};

struct CaseResult {
  std::string id;               // replays it: `lockstep conformance --case ID`
  std::string suite;            // "forward", "gradient", "memory", "fault" …
  std::string op, dtype, mode;  // empty if the case does not test an op
  Outcome outcome = Outcome::pass;
  std::string text;  // why it did not pass, or what was refused
  bool required = false;
  bool native = false;                // executed by one kernel of the driver
  std::vector<std::string> variants;  // "op:variant" of the kernels that ran
  ErrorStatistics errors;
  std::string bound;  // the allowed error, such as "2 ulp"
  double seconds = 0;
};

}  // namespace lockstep::conformance
