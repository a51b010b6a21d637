#include "conformance/runtime/suites.h"
namespace lockstep::conformance {
std::vector<RuntimeCase> kernel_query_cases() { return {}; }
}  // namespace lockstep::conformance
