# Tests that load the library as applications do. Included where the target `lockstep` exists.
if(NOT LOCKSTEP_TESTS)
  return()
endif()
set(folder ${PROJECT_SOURCE_DIR}/api/loading)
add_library(loading_plugin MODULE ${folder}/plugin.cpp)
target_link_libraries(loading_plugin PRIVATE lockstep)
add_library(dlpack_plugin MODULE ${folder}/dlpack_plugin.cpp)
target_link_libraries(dlpack_plugin PRIVATE lockstep)
add_executable(loading_test ${folder}/loading_test.c)
target_link_libraries(loading_test PRIVATE ${CMAKE_DL_LIBS})
set(loaded $<TARGET_FILE:lockstep> $<TARGET_FILE:loading_plugin>)

# Not with a sanitizer: its runtime must be the first library in a process.
if(NOT LOCKSTEP_SANITIZE)
  add_test(NAME loading_from_c COMMAND loading_test ${loaded})
  set_tests_properties(loading_from_c PROPERTIES LABELS fast PASS_REGULAR_EXPRESSION "11 22 33")
  find_package(Python3 COMPONENTS Interpreter QUIET)
  if(Python3_FOUND)
    add_test(NAME loading_from_python COMMAND Python3::Interpreter ${folder}/beside_python.py ${loaded})
    set_tests_properties(loading_from_python PROPERTIES LABELS fast)
    foreach(other numpy torch)
      add_test(NAME dlpack_with_${other} COMMAND Python3::Interpreter ${folder}/dlpack_with.py ${other}
        $<TARGET_FILE:lockstep> $<TARGET_FILE:dlpack_plugin>)
      set_tests_properties(dlpack_with_${other} PROPERTIES LABELS fast SKIP_RETURN_CODE 77)
    endforeach()
  endif()
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT LOCKSTEP_INTERNAL_SHARED)
  add_test(NAME exported_symbols
    COMMAND ${CMAKE_COMMAND} -DLIBRARY=$<TARGET_FILE:lockstep> -DLIST=${PROJECT_SOURCE_DIR}/api/abi/exported_symbols.txt
      -DHEADERS=${PROJECT_SOURCE_DIR}/api/lockstep -P ${folder}/exports_test.cmake)
  set_tests_properties(exported_symbols PROPERTIES LABELS fast)
endif()
