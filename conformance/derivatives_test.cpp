// Checks first and second derivatives of smooth functions of one number, over their whole range, on every device, in
// strict and in lockstep mode, against mpmath (golden/derivatives.py). This finds formulas whose terms cancel.
// Comparisons with differences of the oracle are relative to the largest derivative, which hides errors where
// derivatives are small.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

struct Row {
  double x, first, second, third;
};

const std::map<std::string, std::vector<Row>>& golden() {
  static const auto* all = [] {
    auto* made = new std::map<std::string, std::vector<Row>>;
    std::ifstream file(LOCKSTEP_DERIVATIVES_FILE);
    for (const auto& r : nlohmann::json::parse(file)) {
      (*made)[r[0].get<std::string>()].push_back(
          {r[1].get<double>(), r[2].get<double>(), r[3].get<double>(), r[4].get<double>()});
    }
    return made;
  }();
  return *all;
}

class Derivatives : public testing::TestWithParam<std::tuple<std::string, MathMode>> {};

// The effect of a few roundings: of the result, and of x and the values computed from it, which the next derivative
// amplifies. In exp(-x^2 / 2) and similar functions, the relative error of x^2 is twice that of x; its effect is also
// proportional to x times the next derivative. tanh and sigmoid save their output instead of their input. The rounding
// of the output is an error of 2^-24 (f64: 2^-53) of the largest derivative.
double allowed(const std::string& name, double x, double derivative, double next, double unit) {
  const bool from_output = name == "tanh" || name == "sigmoid";
  return 16 * unit * (std::fabs(derivative) + std::fabs(x * next)) + (from_output ? 4 * unit : 0);
}

void compare(const std::string& name, const Tensor& given, const std::vector<Row>& rows, bool second, double unit) {
  const std::vector<double> values = cast(given, f64).to_vector<double>();
  const double least = unit > 1e-10 ? 0x1p-146 : 0x1p-1070;  // for subnormal numbers
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& r = rows[i];
    const double want = second ? r.second : r.first, next = second ? r.third : r.second;
    if (std::fabs(want) > (unit > 1e-10 ? 3e38 : 1e308)) continue;
    const double step = allowed(name, r.x, want, next, unit) + least;
    EXPECT_LE(std::fabs(values[i] - want), step)
        << name << (second ? "''" : "'") << " of " << r.x << " is " << values[i] << ", not " << want;
  }
}

void check(const std::string& name, const std::vector<Row>& rows, DType dtype) {
  std::vector<double> points;
  for (const Row& r : rows) points.push_back(r.x);
  const Tensor x = cast(Tensor(points, Shape{static_cast<std::int64_t>(points.size())}), dtype);
  const Tensor along = ones(x.shape(), dtype);
  GradientTape outer;
  outer.watch(x);
  const Tensor first = [&] {
    GradientTape inner;
    inner.watch(x);
    return inner.gradient(invoke1(*find_op(name), {x}), x, {.upstream = along});
  }();
  const double unit = dtype == f32 ? 0x1p-24 : 0x1p-53;
  compare(name, first, rows, false, unit);
  compare(name, outer.gradient(first, x, {.upstream = along}), rows, true, unit);
}

TEST_P(Derivatives, AreThoseOfMpmath) {
  const auto& [device, math_mode] = GetParam();
  const std::vector<MathMode> offered = describe(Device(device)).modes;
  if (std::count(offered.begin(), offered.end(), math_mode) == 0) GTEST_SKIP() << "the device does not offer the mode";
  const DeviceScope scope{Device(device)};
  const MathModeScope mode(math_mode);
  ASSERT_GE(golden().size(), 10u);
  for (const auto& [name, rows] : golden()) {
    check(name, rows, f32);
    check(name, rows, f64);
  }
}

// The bounds are the same in both modes: lockstep mode fixes the order of roundings, and does not add any.
INSTANTIATE_TEST_SUITE_P(All, Derivatives,
                         testing::Combine(testing::ValuesIn(available_devices()),
                                          testing::Values(MathMode::strict, MathMode::lockstep)),
                         [](const auto& of) {
                           return test_name_of(std::get<0>(of.param)) + "_" +
                                  std::string(name_of(std::get<1>(of.param)));
                         });

}  // namespace
}  // namespace lockstep
