if(LOCKSTEP_TESTS)
  find_package(GTest REQUIRED)
  # Tests are compiled without optimisation, which takes half as long; only the library has to run fast. GoogleTest and the
  # standard library are parsed once, by this program, for all of them.
  set(test_options -O0)
  add_executable(lockstep_test_headers ${CMAKE_CURRENT_LIST_DIR}/test_headers.cpp)
  target_link_libraries(lockstep_test_headers PRIVATE GTest::gtest Threads::Threads)
  target_compile_options(lockstep_test_headers PRIVATE ${test_options})
  set_target_properties(lockstep_test_headers PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test_headers)
  target_precompile_headers(lockstep_test_headers PRIVATE <gtest/gtest.h> <algorithm> <array> <atomic> <chrono> <cmath>
    <cstdint> <cstring> <deque> <filesystem> <fstream> <functional> <map> <memory> <mutex> <numeric> <optional> <random>
    <set> <sstream> <string> <string_view> <thread> <vector>)
endif()

# Time limits in seconds for a test program and a run of the conformance suite, and the option for one of the suite's
# cases. Sanitizers make tests about ten times slower.
set(seconds_for_test 600)
set(seconds_for_conformance 3600)
set(timeout_option "")
if(LOCKSTEP_SANITIZE)
  set(seconds_for_test 3600)
  set(seconds_for_conformance 7200)
  set(timeout_option --timeout 900)
endif()

# lockstep_test_options(target) sets how tests are compiled.
function(lockstep_test_options target)
  target_compile_options(${target} PRIVATE ${test_options})
  target_precompile_headers(${target} REUSE_FROM lockstep_test_headers)
endfunction()

# lockstep_test(name source... [LABELS label...] [LIBRARIES library...] [OPTIMISED]) adds a GoogleTest program. OPTIMISED is
# for tests that compute much themselves.
# Labels: `fast` (the default) for tests that take seconds, `slow` for all others. Slow tests with the label `full` run
# only with `./run_tests --full`; without it, tests with the label `part` run in their place, where there are any.
function(lockstep_test name)
  if(NOT LOCKSTEP_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "OPTIMISED" "" "LABELS;LIBRARIES;ENVIRONMENT" ${ARGN})
  if(NOT arg_LABELS)
    set(arg_LABELS fast)
  endif()
  if(NOT arg_LIBRARIES)
    set(arg_LIBRARIES lockstep_internal)
  endif()
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} GTest::gtest GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  if(NOT arg_OPTIMISED)
    lockstep_test_options(${name})
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" ENVIRONMENT "${arg_ENVIRONMENT}"
    TIMEOUT ${seconds_for_test})
endfunction()

# conformance_run(name option... [SHARD i/n] [PART i/n] [ENVIRONMENT variable...] [MAY_BE_ABSENT]) runs the conformance
# suite on one device, with the command line as users run it. PART is the shard that `./run_tests` runs; then the whole
# suite (or the larger SHARD) runs only with --full. With MAY_BE_ABSENT the test is skipped if the machine has no such
# device.
function(conformance_run name)
  if(NOT LOCKSTEP_TESTS OR NOT LOCKSTEP_TOOLS)
    return()
  endif()
  cmake_parse_arguments(arg "MAY_BE_ABSENT" "SHARD;PART" "ENVIRONMENT" ${ARGN})
  set(labels slow)
  if(arg_PART)
    set(labels slow full)
    conformance_test(${name}_part "slow;part" "${arg_PART}")
  endif()
  conformance_test(${name} "${labels}" "${arg_SHARD}")
endfunction()

# Adds one test for conformance_run. It reads the arguments that conformance_run has parsed. The report goes to
# reports/<name> in the build folder.
function(conformance_test name labels shard)
  if(shard)
    set(shard --shard ${shard})
  endif()
  add_test(NAME conformance_${name} COMMAND lockstep_cli conformance ${arg_UNPARSED_ARGUMENTS} ${shard} ${timeout_option}
           --report ${PROJECT_BINARY_DIR}/reports/${name})
  set_tests_properties(conformance_${name} PROPERTIES LABELS "${labels}" ENVIRONMENT "${arg_ENVIRONMENT}"
    TIMEOUT ${seconds_for_conformance})
  if(arg_MAY_BE_ABSENT)
    set_tests_properties(conformance_${name} PROPERTIES SKIP_REGULAR_EXPRESSION "there is no device")
  endif()
endfunction()
