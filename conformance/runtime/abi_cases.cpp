#include "conformance/runtime/suites.h"
namespace lockstep::conformance {
std::vector<RuntimeCase> abi_cases() { return {}; }
}  // namespace lockstep::conformance
