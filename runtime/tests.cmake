# Tests of this folder.
if(NOT LOCKSTEP_TESTS)
  return()
endif()

lockstep_test(shape_test shape_test.cpp)
lockstep_test(pool_test memory/pool_test.cpp)
# Tests that need no test driver.
lockstep_test(runtime_parts_test
  call_site_test.cpp
  caller_test.cpp
  command_queue_test.cpp
  counted_allocations.cpp
  device_open_test.cpp
  driver_status_test.cpp
  driver_table_test.cpp
  element_test.cpp
  foreign_memory_test.cpp
  host_api_test.cpp
  kernel_cache_limit_test.cpp
  kernel_cache_test.cpp
  kernel_cache_threads_test.cpp
  memory/memory_report_test.cpp
  memory/stream_pool_test.cpp
  options_test.cpp
  print_test.cpp
  mutex_test.cpp
  queue_places_test.cpp
  queue_room_test.cpp
  ring_test.cpp
  scope_test.cpp
  sha256_test.cpp
  tensor_test.cpp)
lockstep_test(parallel_test parallel_test.cpp)
if(NOT LOCKSTEP_THREADING STREQUAL std)
  # OpenMP gives fewer threads than the test asks for. The test left out needs all of them.
  add_test(NAME parallel_test_of_a_small_team COMMAND parallel_test --gtest_filter=-*AtTheSameTime)
  set_tests_properties(parallel_test_of_a_small_team PROPERTIES LABELS fast ENVIRONMENT OMP_THREAD_LIMIT=2
    TIMEOUT ${seconds_for_test})
endif()

lockstep_test(fork_test fork_test.cpp)

lockstep_test(abi_layout_test abi_layout_test.cpp)
target_compile_definitions(abi_layout_test PRIVATE
  GOLDEN_LAYOUT="${PROJECT_SOURCE_DIR}/api/abi/v1.layout" DRIVER_HEADER="${PROJECT_SOURCE_DIR}/api/lockstep/driver.h"
  PROVISIONAL_HEADER="${PROJECT_SOURCE_DIR}/api/lockstep/driver_provisional.h")

foreach(name driver_loader_test driver_registry_test async_test dlpack_test failure_test
    host_fill_test host_view_test memory_test stream_devices_test stream_test stream_undo_test upload_test)
  lockstep_test(${name} ${name}.cpp)
  target_compile_definitions(${name} PRIVATE TEST_DRIVERS="${LOCKSTEP_TEST_DRIVER_DIRECTORY}")
endforeach()
# The test counts the devices of its own drivers; GPUs of the machine must not be listed.
set_tests_properties(driver_registry_test PROPERTIES ENVIRONMENT VK_ICD_FILENAMES=/nonexistent)

lockstep_test(errors_doc_test errors_doc_test.cpp)
target_compile_definitions(errors_doc_test PRIVATE ERRORS_DOCUMENT="${PROJECT_SOURCE_DIR}/docs/errors.md")
