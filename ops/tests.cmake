# Tests of this folder.
if(NOT LOCKSTEP_TESTS)
  return()
endif()

lockstep_test(scalar_accuracy_test scalar/scalar_accuracy_test.cpp)
lockstep_test(scalar_program_test scalar/scalar_program_test.cpp)
lockstep_test(number_test number_test.cpp)
lockstep_test(ops_test ops_test.cpp)
lockstep_test(short_floats_test short_floats_test.cpp)
lockstep_test(iota_test shape/iota_test.cpp)
lockstep_test(random_test random/random_test.cpp)
lockstep_test(sizes_test sizes_test.cpp)
lockstep_test(shape_fuzz_test shape_fuzz_test.cpp)
