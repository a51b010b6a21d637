// Sums of the oracle: exact enough, wrapping for integers, and with the error budget that the terms justify.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "lockstep/op_def.h"

namespace lockstep {

class SumOracle {
 public:
  /// Sums into `out`, which starts at zero; finish() leaves the results there.
  explicit SumOracle(RefArray& out) : out_(out), terms_(out.values.size()) { out.budget.assign(out.values.size(), 0); }

  void add(std::size_t at, long double term) { add_product(at, term, 1); }

  void add_product(std::size_t at, long double a, long double b) {
    Terms& t = terms_[at];
    ++t.count;
    if (is_integer(out_.dtype)) {
      t.wrapped += static_cast<std::uint64_t>(static_cast<std::int64_t>(a)) *
                   static_cast<std::uint64_t>(static_cast<std::int64_t>(b));
      return;
    }
    out_.values[at] += a * b;
    out_.budget[at] += std::fabs(a * b);
  }

  /// The bound for terms that are rounded and added one after the other: count times the sum of magnitudes, in units of
  /// the unit roundoff (Higham, "Accuracy and stability of numerical algorithms", section 3.1).
  void finish() {
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      if (out_.dtype == DType::i32) out_.values[i] = static_cast<std::int32_t>(terms_[i].wrapped);
      if (out_.dtype == DType::i64)
        out_.values[i] = static_cast<long double>(static_cast<std::int64_t>(terms_[i].wrapped));
      out_.budget[i] *= static_cast<long double>(terms_[i].count + 1);
    }
  }

 private:
  struct Terms {
    std::int64_t count = 0;
    std::uint64_t wrapped = 0;
  };
  RefArray& out_;
  std::vector<Terms> terms_;
};

}  // namespace lockstep
