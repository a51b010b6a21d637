set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  # The sloppiness: without it, ccache does not store what is compiled with precompiled headers. Depend mode: without it,
  # ccache compares preprocessed text, which has no comments. If only a comment of a header changed, it gives the old
  # precompiled header, GCC then does not recognise the header as the one that it has already read, and #pragma once
  # fails. The namespace leaves out what was stored before depend mode.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_DEPEND=1
    CCACHE_NAMESPACE=lockstep-depend ${CCACHE})
endif()

# Results must not depend on whether a compiler contracts a multiplication and an addition into a fused multiply-add.
add_compile_options(-ffp-contract=off)
# Designated initialisers omit fields on purpose. GCC 12 reports -Wrestrict inside its own std::string, and
# -Wstringop-overflow where vectors of handles are copied.
add_compile_options(-Wall -Wextra -Wshadow $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor> $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual>)
add_compile_options(-Wno-missing-field-initializers $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow>)
# Which mutex guards what (api/internal/mutex.h). Builds with GCC are checked by tools/thread_safety.
add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wthread-safety>)
if(LOCKSTEP_WERROR)
  add_compile_options(-Werror)
endif()
add_compile_options(-fno-semantic-interposition $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>)
# The library exports only what the public headers declare (api/lockstep/export.h). Tests of internals need the other
# symbols too.
if(LOCKSTEP_INTERNAL_SHARED)
  add_compile_definitions(LOCKSTEP_HIDDEN=)
else()
  add_compile_options(-fvisibility=hidden)
endif()

# For sources that run once, wait for a device or start what has optimised code of its own: they compile in a third less
# time. Calls of ops need the inlining only. At -O1, GCC 12 takes an empty std::optional for an uninitialised value; with
# -O3 and with Clang the warning stays on.
set(LOCKSTEP_LIGHT_OPTIMIZATION
  "$<$<AND:$<CONFIG:Release>,$<CXX_COMPILER_ID:GNU>>:-O1;-finline-small-functions;-finline-functions;-Wno-maybe-uninitialized>")

# In instrumented code, GCC 12 takes the empty alternatives of std::optional and std::variant for uninitialised values.
if(LOCKSTEP_SANITIZE)
  add_compile_options("$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized>")
endif()
if(LOCKSTEP_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(LOCKSTEP_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(LOCKSTEP_SANITIZE)
  message(FATAL_ERROR "LOCKSTEP_SANITIZE is `${LOCKSTEP_SANITIZE}`; use address, thread or nothing")
endif()

if(NOT LOCKSTEP_THREADING MATCHES "^(openmp|std)$")
  message(FATAL_ERROR "LOCKSTEP_THREADING is `${LOCKSTEP_THREADING}`; use openmp or std")
endif()
