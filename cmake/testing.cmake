# lockstep_test(name source... [LABELS label...] [LIBRARIES library...]) adds a GoogleTest program.
# Labels: `fast` (the default) for tests that take seconds, `slow` for all others. Slow tests with the label `full` run
# only with `./run_tests --full`; without it, tests with the label `part` run in their place.
if(LOCKSTEP_TESTS)
  find_package(GTest REQUIRED)
endif()
# Time limits in seconds for a test program and a run of the conformance suite, and the option for one of the suite's
# cases. Sanitizers make tests about ten times slower.
set(seconds_for_test 600)
set(seconds_for_conformance 1200)
set(timeout_option "")
if(LOCKSTEP_SANITIZE)
  set(seconds_for_test 3600)
  set(seconds_for_conformance 7200)
  set(timeout_option --timeout 900)
endif()

function(lockstep_test name)
  if(NOT LOCKSTEP_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "LABELS;LIBRARIES;ENVIRONMENT" ${ARGN})
  if(NOT arg_LABELS)
    set(arg_LABELS fast)
  endif()
  if(NOT arg_LIBRARIES)
    set(arg_LIBRARIES lockstep_internal)
  endif()
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} GTest::gtest GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  if(LOCKSTEP_SANITIZE)
    target_compile_options(${name} PRIVATE -O0)  # compiles three times as fast as -O1; only the library has to run fast
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

# Adds one test for conformance_run. It reads the arguments that conformance_run has parsed.
function(conformance_test name labels shard)
  if(shard)
    set(shard --shard ${shard})
  endif()
  add_test(NAME conformance_${name} COMMAND lockstep_cli conformance ${arg_UNPARSED_ARGUMENTS} ${shard} ${timeout_option})
  set_tests_properties(conformance_${name} PROPERTIES LABELS "${labels}" ENVIRONMENT "${arg_ENVIRONMENT}"
    TIMEOUT ${seconds_for_conformance})
  if(arg_MAY_BE_ABSENT)
    set_tests_properties(conformance_${name} PROPERTIES SKIP_REGULAR_EXPRESSION "there is no device")
  endif()
endfunction()
