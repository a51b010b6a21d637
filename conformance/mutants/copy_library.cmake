# Copies the library ORIGINAL into FOLDER as liblockstep_driver_mutant_<name>.so for each of NAMES; then touches STAMP.
# Copies of mutants that mutants.def no longer lists are left: no test looks for them.
file(READ "${ORIGINAL}" unused LIMIT 1)  # fails if there is none
foreach(name ${NAMES})
  configure_file("${ORIGINAL}" "${FOLDER}/liblockstep_driver_mutant_${name}.so" COPYONLY)
endforeach()
file(TOUCH "${STAMP}")
