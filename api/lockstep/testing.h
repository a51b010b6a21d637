// Fault injection, for tests of drivers and applications.
#pragma once

#include <cstdint>
#include <string>

#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

/// While this object exists, the k-th fault point that any thread reaches (counting from 1) fails: an allocation with
/// "out of memory", any other with an internal driver error. There is a fault point before every native allocation,
/// map, submit, compile and wait of the drivers, and before every allocation of the runtime. With k = 0 none fails;
/// they are only counted. At most one such object may exist at a time.
class FaultInjection {
 public:
  explicit FaultInjection(std::uint64_t k);
  ~FaultInjection();
  FaultInjection(const FaultInjection&) = delete;
  FaultInjection& operator=(const FaultInjection&) = delete;

  /// Number of fault points reached so far.
  std::uint64_t passed() const;
  /// True once the k-th fault point was reached; `site` then names it, such as "cpu.buffer_alloc".
  bool fired() const;
  std::string site() const;
};

}  // namespace lockstep
