// Symbol visibility. The library is compiled with hidden visibility; only what the public headers declare is exported.
#pragma once

/// `namespace LOCKSTEP_API lockstep {` exports everything that the block declares.
#define LOCKSTEP_API [[gnu::visibility("default")]]

/// `class LOCKSTEP_HIDDEN Name;` keeps the members of a class in that the block declares, but that only the library
/// defines. Builds whose tests see the internals through a shared library define it as nothing.
#if !defined(LOCKSTEP_HIDDEN)
#define LOCKSTEP_HIDDEN [[gnu::visibility("hidden")]]
#endif
