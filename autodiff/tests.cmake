# Tests of this folder.
if(NOT LOCKSTEP_TESTS)
  return()
endif()

lockstep_test(variable_test variable_test.cpp)
