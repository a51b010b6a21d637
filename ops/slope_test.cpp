// Compares the slopes that ops declare for conformance with difference quotients of their oracles. Kinks are left out,
// because the slope there is a matter of definition.
#include <gtest/gtest.h>

#include <cmath>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "ops/reference_call.h"

namespace lockstep {
namespace {

long double value_at(const OpDef& op, const std::vector<long double>& x) {
  std::vector<Tensor> tensors;
  std::vector<RefArray> arrays;
  for (long double v : x) {
    tensors.push_back(Tensor::abstract({DType::f64, {}}));
    arrays.push_back(RefArray::zeros(DType::f64, {}));
    arrays.back().values[0] = v;
  }
  const std::vector<Operand> operands(tensors.begin(), tensors.end());
  return ReferenceCall({op, operands, op.attrs.size ? op.attrs.defaults.data() : nullptr, {}, {}})
      .answer(arrays)[0]
      .values[0];
}

void compare(const OpDef& op, const std::vector<long double>& x, int& compared) {
  constexpr long double step = 1e-6L;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::optional<long double> slope = op.slope(x, i);
    if (!slope || !std::isfinite(*slope)) continue;
    std::vector<long double> low = x, high = x;
    low[i] -= step;
    high[i] += step;
    const long double expected = (value_at(op, high) - value_at(op, low)) / (2 * step);
    if (!std::isfinite(expected)) continue;
    // Both errors of the quotient are far below the tolerance: about 1e-13 from the oracle's 64-bit mantissas, and
    // step^2 / 6 times the third derivative.
    EXPECT_NEAR(static_cast<double>(*slope), static_cast<double>(expected),
                1e-9 * (1 + std::fabs(static_cast<double>(expected))))
        << op.name << " by input " << i << " at " << static_cast<double>(x[0]);
    ++compared;
  }
}

TEST(Slopes, AreThoseOfTheOracle) {
  int compared = 0;
  for (const OpDef* op : registered_ops()) {
    if (!op->slope || !op->scalars.empty()) continue;
    for (long double a : {-2.5L, -1.25L, 0.75L, 1.5L, 3.0L}) {
      if (op->inputs.size() == 1) compare(*op, {a}, compared);
      for (long double b : {-2.0L, -0.5L, 0.625L, 2.0L}) {
        if (op->inputs.size() == 2) compare(*op, {a, b}, compared);
      }
    }
  }
  EXPECT_GT(compared, 20);
}

}  // namespace
}  // namespace lockstep
