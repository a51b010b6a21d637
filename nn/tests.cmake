# Tests of this folder.
if(NOT LOCKSTEP_TESTS)
  return()
endif()

lockstep_test(dataset_test data/dataset_test.cpp)
lockstep_test(fault_test fault_test.cpp)
lockstep_test(fit_test fit_test.cpp)
lockstep_test(idx_test data/idx_test.cpp LIBRARIES lockstep_internal ZLIB::ZLIB)
lockstep_test(layer_test layer_test.cpp)
lockstep_test(memory_limit_test memory_limit_test.cpp)
lockstep_test(optimizer_test optimizer_test.cpp)
lockstep_test(safetensors_test safetensors_test.cpp)
lockstep_test(summary_test summary_test.cpp)
