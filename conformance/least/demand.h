// What a kernel asks of a driver: the op with its dtypes and ranks; of a program, its instructions and its length.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "lockstep/driver.h"

namespace least {

/// What one demand asks and another does not; no text where that is nothing.
struct Gap {
  std::string text;
  int reason = LKS_REASON_NONE;  // for which a driver would refuse it
};

struct Demand {
  /// "SUM" and "f32 → f32", with the largest rank among the operands.
  std::map<std::pair<std::string, std::string>, std::uint64_t> kernels;
  /// "ADD" and "f32"; "CONVERT" and "f32 → i8". What a program loads and stores counts as instructions.
  std::set<std::pair<std::string, std::string>> instructions;
  /// "tensors of a program" and the like: the largest.
  std::map<std::string, std::uint64_t> sizes;

  bool operator==(const Demand&) const = default;
  void add(const Demand& other);
  /// The first thing that `other` asks and this does not.
  Gap lacks(const Demand& other) const;
};

Demand demand_of(const lks_kernel_desc& desc);

/// "f32".
std::string name_of(lks_dtype dtype);

}  // namespace least
