// Helpers of the case generators: random choices that are the same on every machine, and lists without duplicates.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "conformance/cases/test_case.h"
#include "ops/random/philox_reference.h"

namespace lockstep::conformance {

/// Random choices, determined by a seed and a stream. Streams of one seed are independent.
class Choice {
 public:
  Choice(std::uint64_t seed, std::uint64_t stream) : key_{seed, stream} {}
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_long_word(key_, next_++) % n); }
  template <class T, std::size_t n>
  T of(const T (&all)[n]) {
    return all[below(n)];
  }

 private:
  RandomKey key_;
  std::uint64_t next_ = 0;
};

/// The dtype that gets the most cases of an op: f32 if the op accepts it.
inline DType main_dtype(const std::set<DType>& all) { return all.count(DType::f32) ? DType::f32 : *all.begin(); }

/// The base of the classes that collect cases of one op in one mode, in the order in which they were added and without
/// duplicate ids.
class CaseCollector {
 public:
  CaseCollector(const OpDef& op, MathMode mode, std::uint64_t seed) : op_(op), mode_(mode), seed_(seed) {}
  MathMode mode() const { return mode_; }
  std::vector<TestCase> take() { return std::move(cases_); }

 protected:
  TestCase make(const char* suite, const OpCase& call, bool resized, Layout layout, Values values) const {
    return {suite, &op_, call, resized, mode_, layout, values, seed_};
  }
  void keep(TestCase t) {
    if (seen_.insert(t.id()).second) cases_.push_back(std::move(t));
  }

  const OpDef& op_;
  const MathMode mode_;

 private:
  std::uint64_t seed_;
  std::set<std::string> seen_;
  std::vector<TestCase> cases_;
};

}  // namespace lockstep::conformance
