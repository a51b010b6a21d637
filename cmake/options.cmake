# The build options. Every option has a default that works on a machine without extra software. As part of another
# project (add_subdirectory, FetchContent), only the library and its drivers are built.
option(LOCKSTEP_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(LOCKSTEP_BENCHMARKS "Build the Google Benchmark program" ${PROJECT_IS_TOP_LEVEL})
option(LOCKSTEP_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(LOCKSTEP_CONFORMANCE "Build the conformance suite of the command line with everything else" ${PROJECT_IS_TOP_LEVEL})
option(LOCKSTEP_TOOLS "Build the command line" ${PROJECT_IS_TOP_LEVEL})

# Tests then link faster, and are not linked again if only a source of the library has changed.
option(LOCKSTEP_INTERNAL_SHARED "Build what tests see of the library as a shared object" OFF)
if(LOCKSTEP_INTERNAL_SHARED)
  set(CMAKE_LINK_DEPENDS_NO_SHARED ON)
endif()

set(LOCKSTEP_DRIVERS "cpu;vulkan" CACHE STRING "Drivers to build, beside `reference`, which the tests need")
set(LOCKSTEP_ONEDNN AUTO CACHE STRING "Use oneDNN in the CPU driver: AUTO, ON or OFF")
set(LOCKSTEP_THREADING openmp CACHE STRING "CPU parallelism: openmp or std (std::thread)")
set_property(CACHE LOCKSTEP_THREADING PROPERTY STRINGS openmp std)
set(LOCKSTEP_CPU_ISA "v2;v3;v4" CACHE STRING
    "x86-64 levels that the CPU driver is built for; the best is chosen at load. `native` builds this machine's only")
# Continuous integration sets the variable. For users, warnings of a newer or different compiler must not stop the
# build.
set(warnings_are_errors OFF)
if("$ENV{LOCKSTEP_WERROR}")
  set(warnings_are_errors ON)
endif()
option(LOCKSTEP_WERROR "Warnings are errors (default: what the environment variable of this name says)" ${warnings_are_errors})
option(LOCKSTEP_PRECOMPILE "Compile headers that most sources include once for all of them" ON)
set(LOCKSTEP_SANITIZE "" CACHE STRING "address (with undefined), thread, or empty")
set_property(CACHE LOCKSTEP_SANITIZE PROPERTY STRINGS "" address thread)

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
