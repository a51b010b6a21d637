# Tests a driver as an external project: builds the installed template in another folder, against nothing but the
# installation, and certifies it like any other driver.
include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

set(work ${BUILD}/${NAME}_test)
file(REMOVE_RECURSE ${work})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/installed)
file(COPY ${work}/installed/share/lockstep/examples/driver_template DESTINATION ${work})
run(${CMAKE_COMMAND} -S ${work}/driver_template -B ${work}/build -G Ninja -DCMAKE_BUILD_TYPE=Release
  -DCMAKE_CXX_COMPILER=${CXX} "-DCMAKE_CXX_FLAGS=${FLAGS} -Werror" -DCMAKE_PREFIX_PATH=${work}/installed)
run(${CMAKE_COMMAND} --build ${work}/build)

set(ENV{LOCKSTEP_DRIVER_PATH} ${work}/build)
run(${work}/installed/bin/lockstep devices --why)
if(NOT text MATCHES "template:0")
  message(FATAL_ERROR "the driver was not found:\n${text}")
endif()
# The installed program certifies the driver and writes a report.
unset(ENV{LOCKSTEP_DRIVER_PATH})
set(driver ${work}/build/liblockstep_driver_template.so)
run(${work}/installed/bin/lockstep conformance --driver ${driver} --profile core --report ${work}/report ${OPTIONS})
foreach(file report.json report.md report.html)
  if(NOT EXISTS ${work}/report/${file})
    message(FATAL_ERROR "there is no ${file}:\n${text}")
  endif()
endforeach()
message("${text}")
# What `train` adds to `core`: gradients and models that train, an eighth of the cases.
set(some_of_train ${OPTIONS})
if(NOT OPTIONS MATCHES "--shard")
  list(APPEND some_of_train --shard 1/8)
endif()
run(${work}/installed/bin/lockstep conformance --driver ${driver} --profile train
  --suite gradient,second_gradient,special_gradient,audit,trajectory ${some_of_train})
message("${text}")
# It offers lockstep mode too, in which it composes more ops and is slow: a quarter of the cases.
if(NOT OPTIONS MATCHES "--shard")
  list(APPEND OPTIONS --shard 1/4)
endif()
run(${work}/installed/bin/lockstep conformance --driver ${driver} --profile lockstep ${OPTIONS})
message("${text}")
