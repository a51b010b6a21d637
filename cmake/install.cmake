# What `cmake --install` installs: headers, the library and its CMake package, drivers in lib/lockstep/, and oneDNN in
# lib/ unless it is a system library. Programs and drivers find each other by relative paths, so the tree can be moved.
# share/lockstep/ has the guides for authors of drivers and of ops, the template of a driver and an op as an example. They
# are in the same folders as here, so that the links between them work.
include(CMakePackageConfigHelpers)

install(TARGETS lockstep lockstep_headers EXPORT lockstep LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/api/lockstep DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# The scalar functions, for drivers: include <lockstep/scalar/dialect_cpp.h>, then <lockstep/scalar/all.inc>.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/ops/scalar/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lockstep/scalar
  FILES_MATCHING PATTERN "*.inc" PATTERN "dialect_cpp.h" PATTERN "README.md")
if(onednn_file AND onednn_file MATCHES "^${PROJECT_SOURCE_DIR}/")
  install(FILES ${onednn_file} DESTINATION ${CMAKE_INSTALL_LIBDIR} RENAME libdnnl.so.3)
endif()

install(FILES docs/adding_a_driver.md docs/adding_an_op.md docs/driver_migration.md docs/driver_requirements.md docs/errors.md
  docs/lockstep_mode.md DESTINATION ${CMAKE_INSTALL_DATADIR}/lockstep/docs)
install(FILES examples/your_own_op.cpp DESTINATION ${CMAKE_INSTALL_DATADIR}/lockstep/examples)
install(DIRECTORY examples/driver_template DESTINATION ${CMAKE_INSTALL_DATADIR}/lockstep/examples
  PATTERN build EXCLUDE)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/lockstep)
install(EXPORT lockstep NAMESPACE lockstep:: FILE lockstepTargets.cmake DESTINATION ${package_folder})
configure_package_config_file(cmake/lockstepConfig.cmake.in ${PROJECT_BINARY_DIR}/lockstepConfig.cmake
  INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lockstepConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/lockstepConfig.cmake ${PROJECT_BINARY_DIR}/lockstepConfigVersion.cmake
  DESTINATION ${package_folder})

if(LOCKSTEP_TESTS)
  # A program that loads a sanitized library must be built with the same sanitizer.
  set(sanitizer_flags "")
  if(LOCKSTEP_SANITIZE)
    set(sanitizer_flags -fsanitize=${LOCKSTEP_SANITIZE})
  endif()
  # The examples as an external project, built against an installation that was moved to another folder.
  add_test(NAME install_and_find_package
    COMMAND ${CMAKE_COMMAND} -DBUILD=${PROJECT_BINARY_DIR} -DSOURCE=${PROJECT_SOURCE_DIR}
      -DCXX=${CMAKE_CXX_COMPILER} -DFLAGS=${sanitizer_flags} -P ${PROJECT_SOURCE_DIR}/cmake/test_install.cmake)
  set_tests_properties(install_and_find_package PROPERTIES LABELS slow TIMEOUT 600 PASS_REGULAR_EXPRESSION
    "y       12\ndy/dx   12\nd2y/dx2 6\n")
  # An external project that includes Lockstep as a subproject.
  foreach(name subproject_configure subproject)
    add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DWORK=${PROJECT_BINARY_DIR}/${name}_test
      -DCXX=${CMAKE_CXX_COMPILER} $<$<STREQUAL:${name},subproject>:-DRUN=1>
      -P ${PROJECT_SOURCE_DIR}/cmake/test_subproject.cmake)
  endforeach()
  set_tests_properties(subproject_configure PROPERTIES LABELS "slow;part" TIMEOUT 600)
  set_tests_properties(subproject PROPERTIES LABELS "slow;full" TIMEOUT 3600
    PASS_REGULAR_EXPRESSION "y       12\ndy/dx   12\nd2y/dx2 6\n")
  # A driver as an external project, built from the installed template.
  foreach(name driver_template driver_template_part)
    set(options ${timeout_option})
    if(name STREQUAL driver_template_part)
      list(APPEND options --shard 1/20)
    endif()
    add_test(NAME ${name}
      COMMAND ${CMAKE_COMMAND} -DBUILD=${PROJECT_BINARY_DIR} -DNAME=${name}
        -DCXX=${CMAKE_CXX_COMPILER} -DFLAGS=${sanitizer_flags}
        "-DOPTIONS=${options}" -P ${PROJECT_SOURCE_DIR}/cmake/test_driver_template.cmake)
    set_tests_properties(${name} PROPERTIES LABELS "slow;full" TIMEOUT ${seconds_for_conformance})
  endforeach()
  set_tests_properties(driver_template_part PROPERTIES LABELS "slow;part")
endif()
