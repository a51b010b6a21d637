// Symbol visibility. The library is compiled with hidden visibility; only what the public headers declare is exported.
#pragma once

/// `namespace LOCKSTEP_API lockstep {` exports everything that the block declares.
#define LOCKSTEP_API [[gnu::visibility("default")]]
