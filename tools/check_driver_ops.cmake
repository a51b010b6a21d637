# Checks that the header in the source tree equals the generator's output: cmake -DPROGRAM=… -DHEADER=… -P
# check_driver_ops.cmake
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
file(READ ${HEADER} present)
if(NOT printed STREQUAL present)
  message(FATAL_ERROR "${HEADER} is out of date: run ${PROGRAM} > ${HEADER}")
endif()
