# Uses Lockstep as a subproject of another project. Configures that project's example, and with RUN also builds and runs
# it.
#   cmake -DSOURCE=… -DWORK=… -DCXX=… [-DRUN=1] -P test_subproject.cmake
include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

file(REMOVE_RECURSE ${WORK})
file(WRITE ${WORK}/CMakeLists.txt "cmake_minimum_required(VERSION 3.25)
project(stranger LANGUAGES C CXX)
include(FetchContent)
FetchContent_Declare(lockstep SOURCE_DIR ${SOURCE})  # users give GIT_REPOSITORY instead
FetchContent_MakeAvailable(lockstep)
if(CMAKE_CXX_FLAGS MATCHES lockstep OR CMAKE_RUNTIME_OUTPUT_DIRECTORY OR CMAKE_CXX_VISIBILITY_PRESET)
  message(FATAL_ERROR \"Lockstep has changed the settings of the project that contains it\")
endif()
get_directory_property(options COMPILE_OPTIONS)
if(options)
  message(FATAL_ERROR \"Lockstep has set options for the project that contains it: \${options}\")
endif()
add_executable(gradient_tape ${SOURCE}/examples/gradient_tape.cpp)
target_link_libraries(gradient_tape PRIVATE lockstep::lockstep)
")
run(${CMAKE_COMMAND} -S ${WORK} -B ${WORK}/build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=${CXX}
  -DLOCKSTEP_DRIVERS=cpu -DLOCKSTEP_CPU_ISA=native)
if(RUN)
  run(${CMAKE_COMMAND} --build ${WORK}/build)
  execute_process(COMMAND ${WORK}/build/gradient_tape COMMAND_ERROR_IS_FATAL ANY)
endif()
