// Making things fail on purpose, for tests of drivers and of applications.
#pragma once

#include <cstdint>
#include <string>

#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

/// While it lives, the k-th fault point that any thread passes (counting from 1) fails as if memory, a queue or a
/// compiler had failed: an allocation with "out of memory", anything else with an internal driver error. Fault points
/// stand before every native allocation, map, submit, compile and wait of the drivers, and before every allocation of
/// the runtime. k = 0 fails none, and counts. One may live at a time.
class FaultInjection {
 public:
  explicit FaultInjection(std::uint64_t k);
  ~FaultInjection();
  FaultInjection(const FaultInjection&) = delete;
  FaultInjection& operator=(const FaultInjection&) = delete;

  /// Fault points passed so far.
  std::uint64_t passed() const;
  /// True once the k-th was reached; `site` then names it, such as "cpu.buffer_alloc".
  bool fired() const;
  std::string site() const;
};

}  // namespace lockstep
