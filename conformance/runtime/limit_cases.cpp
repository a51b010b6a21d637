#include "conformance/runtime/suites.h"
namespace lockstep::conformance {
std::vector<RuntimeCase> limit_cases() { return {}; }
}  // namespace lockstep::conformance
