# lockstep_test(name source... [LABELS label...] [LIBRARIES library...]): a GoogleTest program beside what it tests.
# Labels: `fast` (the default) is what takes seconds, `slow` the rest. Of those, `full` is left to `./run_tests --full`,
# and `part` stands for such a test in `./run_tests`.
if(LOCKSTEP_TESTS)
  find_package(GTest REQUIRED)
endif()
# Seconds for a test program, for a run of the suite, and for one of its cases. Sanitizers slow down tenfold.
set(seconds_for_test 600)
set(seconds_for_conformance 1200)
set(patience "")
if(LOCKSTEP_SANITIZE)
  set(seconds_for_test 3600)
  set(seconds_for_conformance 7200)
  set(patience --timeout 900)
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
    target_compile_options(${name} PRIVATE -O0)  # compiles three times as fast as -O1; the library is what must be fast
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" ENVIRONMENT "${arg_ENVIRONMENT}"
    TIMEOUT ${seconds_for_test})
endfunction()

# conformance_run(name option... [SHARD i/n] [PART i/n] [ENVIRONMENT variable...] [MAY_BE_ABSENT]): the suite as users run
# it, on one device. PART: the shard that `./run_tests` runs, where the whole (or the larger SHARD) is left to --full.
# MAY_BE_ABSENT: where the machine has no such device, the test is skipped.
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

# One test of conformance_run, whose arguments it sees.
function(conformance_test name labels shard)
  if(shard)
    set(shard --shard ${shard})
  endif()
  add_test(NAME conformance_${name} COMMAND lockstep_cli conformance ${arg_UNPARSED_ARGUMENTS} ${shard} ${patience})
  set_tests_properties(conformance_${name} PROPERTIES LABELS "${labels}" ENVIRONMENT "${arg_ENVIRONMENT}"
    TIMEOUT ${seconds_for_conformance})
  if(arg_MAY_BE_ABSENT)
    set_tests_properties(conformance_${name} PROPERTIES SKIP_REGULAR_EXPRESSION "there is no device")
  endif()
endfunction()
