// For tests: counts the allocations of the program that this is linked to.
#pragma once

namespace lockstep {

/// The number of calls of `operator new` so far, on all threads.
long allocations();
/// How many of them were not deleted.
long live_allocations();

}  // namespace lockstep
