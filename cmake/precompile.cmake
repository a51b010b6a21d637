# Headers that nearly all sources include are compiled once for all sources of a target. Most sources spend more time on
# reading headers than on their own text. Sources include what they use nevertheless: without LOCKSTEP_PRECOMPILE, as in a
# debug build, everything still compiles.

# lockstep_precompile(target header...): these headers and those of the standard library.
function(lockstep_precompile target)
  if(LOCKSTEP_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE <algorithm> <array> <atomic> <bit> <cmath> <cstdint> <cstring> <functional>
      <limits> <map> <memory> <mutex> <optional> <span> <sstream> <string> <string_view> <unordered_map> <utility> <vector>
      ${ARGN})
    lockstep_without_false_alarms(${target})
  endif()
endfunction()

# lockstep_precompiled_as(target other): the headers of another target, which is compiled with the same options.
function(lockstep_precompiled_as target other)
  if(LOCKSTEP_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ${other})
    lockstep_without_false_alarms(${target})
  endif()
endfunction()

# With precompiled headers, GCC 12 reports -Warray-bounds inside its own std::string, as it reports -Wrestrict without.
function(lockstep_without_false_alarms target)
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds>)
endfunction()
