#include "conformance/runtime/suites.h"
namespace lockstep::conformance {
std::vector<RuntimeCase> thread_cases() { return {}; }
}  // namespace lockstep::conformance
