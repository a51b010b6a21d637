# A stranger's driver: the template, built against an installation in another folder, then judged like any other driver.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN} failed (${status}):\n${text}")
  endif()
  set(text "${text}" PARENT_SCOPE)
endfunction()

set(work ${BUILD}/driver_template_test)
file(REMOVE_RECURSE ${work})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/installed)
# Away from the sources, so that nothing but the installation can be found.
file(COPY ${SOURCE}/examples/driver_template DESTINATION ${work})
run(${CMAKE_COMMAND} -S ${work}/driver_template -B ${work}/build -G Ninja -DCMAKE_BUILD_TYPE=Release
  -DCMAKE_CXX_COMPILER=${CXX} "-DCMAKE_CXX_FLAGS=${FLAGS} -Werror" -DCMAKE_PREFIX_PATH=${work}/installed)
run(${CMAKE_COMMAND} --build ${work}/build)

set(ENV{LOCKSTEP_DRIVER_PATH} ${work}/build)
run(${work}/installed/bin/lockstep devices --why)
if(NOT text MATCHES "template:0")
  message(FATAL_ERROR "the driver was not found:\n${text}")
endif()
foreach(test op_test lockstep_vectors_test)
  run(${BUILD}/bin/${test} --gtest_filter=*template_0*)
  if(NOT text MATCHES "PASSED  . [1-9]")
    message(FATAL_ERROR "${test} ran nothing:\n${text}")
  endif()
endforeach()
