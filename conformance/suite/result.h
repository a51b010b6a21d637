// What one conformance case came to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::conformance {

enum class Outcome : std::uint8_t {
  pass,
  fail,         // a wrong answer, or a right one where an error belongs
  crash,        // the process that ran it died
  timeout,      // it did not end in time
  unsupported,  // the driver refused, with a reason; a failure only where the profile requires the case
  mistrusted,   // the case could not have told right from wrong
};
const char* name_of(Outcome outcome);

/// How far the elements of a floating result are from the exact ones.
struct ErrorStatistics {
  std::int64_t elements = 0;  // compared; 0 where nothing was measured
  double max_ulp = 0;         // units in the last place of the exact result; where terms cancel, of the operands
  double p99_ulp = 0;
  double mean_signed_ulp = 0;  // apart from 0 where results are truncated rather than rounded
  double share = 0;            // the largest error in units of what the bound allows
  std::string worst;           // the element with the largest error: inputs, result and exact value
};

struct CaseResult {
  std::string id;               // replays it: `lockstep conformance --case ID`
  std::string suite;            // "forward", "gradient", "memory", "fault" …
  std::string op, dtype, mode;  // empty where the case is not about an op
  Outcome outcome = Outcome::pass;
  std::string text;  // why it is not a pass, or what was refused
  bool required = false;
  bool native = false;                // one kernel of the driver did it
  std::vector<std::string> variants;  // "op:variant" of the kernels that ran
  ErrorStatistics errors;
  std::string bound;  // what was allowed, such as "2 ulp"
  double seconds = 0;
};

}  // namespace lockstep::conformance
