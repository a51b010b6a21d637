// What a kernel requires of a driver: the op with its dtypes and largest rank, its programs' instructions and lengths.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "lockstep/driver.h"

namespace minimal {

/// The first requirement of one demand that another lacks. The text is empty if there is none.
struct Gap {
  std::string text;
  int reason = LKS_REASON_NONE;  // the reason for which a driver would refuse it
};

struct Demand {
  /// "SUM" and "f32 → f32", with the largest rank of the operands.
  std::map<std::pair<std::string, std::string>, std::uint64_t> kernels;
  /// "ADD" and "f32"; "CONVERT" and "f32 → i8". Loads and stores of a program count as instructions.
  std::set<std::pair<std::string, std::string>> instructions;
  /// The maximum of each size, such as "outputs of a program".
  std::map<std::string, std::uint64_t> sizes;

  bool operator==(const Demand&) const = default;
  void add(const Demand& other);
  /// The first requirement of `other` that this demand lacks.
  Gap lacks(const Demand& other) const;
};

Demand demand_of(const lks_kernel_desc& desc);

/// "f32".
std::string name_of(lks_dtype dtype);

}  // namespace minimal
