// What leaves the library. It is compiled with hidden visibility: only what the public headers declare can be linked
// to.
#pragma once

/// `namespace LOCKSTEP_API lockstep {`: everything that the block declares is a symbol of the library.
#define LOCKSTEP_API [[gnu::visibility("default")]]
