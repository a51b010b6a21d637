// Whether tests may fork.
#pragma once

namespace lockstep {

// ThreadSanitizer aborts a child that starts threads.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool may_fork = false;
#else
inline constexpr bool may_fork = true;
#endif

}  // namespace lockstep
