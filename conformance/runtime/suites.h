// The lists that runtime_cases() joins, one per *_cases.cpp.
#pragma once

#include <vector>

#include "conformance/runtime/runtime_case.h"

namespace lockstep::conformance {

std::vector<RuntimeCase> memory_cases();
std::vector<RuntimeCase> red_zone_cases();
std::vector<RuntimeCase> import_cases();
std::vector<RuntimeCase> alias_cases();
std::vector<RuntimeCase> limit_cases();
std::vector<RuntimeCase> leak_cases();
std::vector<RuntimeCase> queue_cases();
std::vector<RuntimeCase> scalar_cases();
std::vector<RuntimeCase> transfer_cases();
std::vector<RuntimeCase> timeline_cases();
std::vector<RuntimeCase> wait_cases();
std::vector<RuntimeCase> order_cases();
std::vector<RuntimeCase> blocking_cases();
std::vector<RuntimeCase> failure_cases();
std::vector<RuntimeCase> skipped_cases();
std::vector<RuntimeCase> dag_cases();
std::vector<RuntimeCase> copy_cases();
std::vector<RuntimeCase> strided_cases();
std::vector<RuntimeCase> far_cases();
std::vector<RuntimeCase> abi_cases();
std::vector<RuntimeCase> alone_cases();
std::vector<RuntimeCase> cache_cases();
std::vector<RuntimeCase> kernel_query_cases();
std::vector<RuntimeCase> refusal_cases();
std::vector<RuntimeCase> kept_kernel_cases();
std::vector<RuntimeCase> honour_cases();
std::vector<RuntimeCase> version_cases();
std::vector<RuntimeCase> thread_cases();
std::vector<RuntimeCase> float_environment_cases();
std::vector<RuntimeCase> fault_cases();

}  // namespace lockstep::conformance
