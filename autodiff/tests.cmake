# Tests of this folder.
if(NOT LOCKSTEP_TESTS)
  return()
endif()

lockstep_test(adam_test adam_test.cpp)
lockstep_test(described_test described_test.cpp)
lockstep_test(gradcheck_test gradcheck_test.cpp)
lockstep_test(gradient_test gradient_test.cpp)
lockstep_test(optimizer_snapshot_test optimizer_snapshot_test.cpp)
lockstep_test(optimizer_state_test optimizer_state_test.cpp)
lockstep_test(tape_test tape_test.cpp)
lockstep_test(variable_test variable_test.cpp)
lockstep_test(gradient_values_test gradient_values_test.cpp)
