# Installs the build into an empty folder, moves it, and builds and runs an example against it as an external project.
include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

set(work ${BUILD}/install_test)
file(REMOVE_RECURSE ${work})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/first)
file(RENAME ${work}/first ${work}/installed)
run(${CMAKE_COMMAND} -S ${SOURCE}/examples -B ${work}/consumer -G Ninja -DCMAKE_BUILD_TYPE=Release
  -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_FLAGS=${FLAGS} -DCMAKE_PREFIX_PATH=${work}/installed)
run(${CMAKE_COMMAND} --build ${work}/consumer --target gradient_tape)
run(${work}/installed/bin/lockstep devices)
execute_process(COMMAND ${work}/consumer/gradient_tape COMMAND_ERROR_IS_FATAL ANY)
