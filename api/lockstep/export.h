// Symbol visibility. The library is compiled with hidden visibility; only what the public headers declare is exported.
#pragma once

/// `namespace LOCKSTEP_API lockstep {` exports everything that the block declares.
#define LOCKSTEP_API [[gnu::visibility("default")]]

/// For a class that such a block only declares: `class LOCKSTEP_HIDDEN Name;`. Its members are then not exported.
/// Builds whose tests see the internals through a shared library define it as nothing.
#if !defined(LOCKSTEP_HIDDEN)
#define LOCKSTEP_HIDDEN [[gnu::visibility("hidden")]]
#endif
