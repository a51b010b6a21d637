# Writes the list of built-in ops: the lines LOCKSTEP_BUILT_IN(id, name) of the sources. The file keeps its time if the list
# stays the same, so that an edited op does not compile the registry again.
#   cmake -DSOURCES=a.cpp,b.cpp -DLIST=built_in_ops.inc -P list_built_in_ops.cmake
string(REPLACE "," ";" SOURCES "${SOURCES}")
set(list "")
foreach(source ${SOURCES})
  file(STRINGS ${source} lines REGEX "^LOCKSTEP_BUILT_IN\\(")
  foreach(line ${lines})
    if(NOT line MATCHES "^(LOCKSTEP_BUILT_IN\\([0-9]+, [a-z0-9_]+\\))")
      message(FATAL_ERROR "${source}: write LOCKSTEP_BUILT_IN(id, name) { on one line, not: ${line}")
    endif()
    string(APPEND list "${CMAKE_MATCH_1}\n")
  endforeach()
endforeach()
file(CONFIGURE OUTPUT ${LIST} CONTENT "${list}" @ONLY)
