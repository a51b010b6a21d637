# lockstep_sources(<variable> <pattern>…): the sources that match, without tests, relative to this folder, so that a new
# file needs no line in a list. A file that comes or goes changes the time of its folder, after which the build configures
# itself again. (CONFIGURE_DEPENDS would look in every build, so that a dry run could not tell whether there is anything
# to build.)
function(lockstep_sources variable)
  file(GLOB_RECURSE sources RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} ${ARGN})
  list(FILTER sources INCLUDE REGEX "/")
  set(folders ${sources})
  list(TRANSFORM folders REPLACE "/[^/]*$" "")
  list(REMOVE_DUPLICATES folders)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${folders})
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()
