# For scripts: run(COMMAND…) stops with the command's output if it fails, and else leaves the output in `text`.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN} failed (${status}):\n${text}")
  endif()
  set(text "${text}" PARENT_SCOPE)
endfunction()
