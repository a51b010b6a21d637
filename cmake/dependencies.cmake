# Everything that comes from elsewhere. What is missing is named together with what installs it or does without it.
list(PREPEND CMAKE_PREFIX_PATH ${CMAKE_SOURCE_DIR}/.deps)
find_package(Threads REQUIRED)

if(LOCKSTEP_THREADING STREQUAL "openmp")
  find_package(OpenMP COMPONENTS CXX)
  if(NOT OpenMP_CXX_FOUND)
    message(FATAL_ERROR "OpenMP was not found: run ./setup.sh, or configure with -DLOCKSTEP_THREADING=std")
  endif()
endif()

if(NOT LOCKSTEP_ONEDNN STREQUAL "OFF")
  find_package(dnnl 3 CONFIG QUIET)
  if(NOT dnnl_FOUND AND LOCKSTEP_ONEDNN STREQUAL "ON")
    message(FATAL_ERROR "oneDNN 3 was not found: run ./setup.sh, or configure with -DLOCKSTEP_ONEDNN=OFF")
  endif()
endif()

find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(nlohmann_json REQUIRED)
