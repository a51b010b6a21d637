#include "conformance/runtime/runtime_case.h"

#include <iterator>

#include "conformance/runtime/suites.h"

namespace lockstep::conformance {

const std::vector<RuntimeCase>& runtime_cases() {
  static const std::vector<RuntimeCase> all = [] {
    std::vector<RuntimeCase> cases;
    for (auto list : {&memory_cases,
                      &red_zone_cases,
                      &import_cases,
                      &alias_cases,
                      &limit_cases,
                      &leak_cases,
                      &queue_cases,
                      &scalar_cases,
                      &transfer_cases,
                      &timeline_cases,
                      &wait_cases,
                      &order_cases,
                      &blocking_cases,
                      &failure_cases,
                      &skipped_cases,
                      &dag_cases,
                      &copy_cases,
                      &strided_cases,
                      &far_cases,
                      &abi_cases,
                      &alone_cases,
                      &cache_cases,
                      &kernel_query_cases,
                      &refusal_cases,
                      &kept_kernel_cases,
                      &honour_cases,
                      &version_cases,
                      &thread_cases,
                      &float_environment_cases,
                      &fault_cases}) {
      std::vector<RuntimeCase> some = list();
      std::move(some.begin(), some.end(), std::back_inserter(cases));
    }
    return cases;
  }();
  return all;
}

}  // namespace lockstep::conformance
