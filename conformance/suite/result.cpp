#include "conformance/suite/result.h"

namespace lockstep::conformance {

const char* name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::pass: return "pass";
    case Outcome::fail: return "fail";
    case Outcome::crash: return "crash";
    case Outcome::timeout: return "timeout";
    case Outcome::unsupported: return "unsupported";
    case Outcome::mistrusted: return "mistrusted";
  }
  return "fail";
}

}  // namespace lockstep::conformance
