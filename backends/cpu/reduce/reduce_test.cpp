// Tests reductions against the reference driver for awkward shapes and layouts, and two more properties: the error
// hardly grows with the number of elements, and results do not depend on the number of threads.
#include <cmath>

#include "backends/cpu/test_support.h"

namespace lockstep::testing {
namespace {

struct AxesCase {
  Shape shape;
  Ints axes;
};

const std::vector<AxesCase>& axes_cases() {
  static const std::vector<AxesCase> cases = {{{1}, {0}},
                                              {{7}, {0}},
                                              {{31}, {0}},
                                              {{33}, {0}},
                                              {{1025}, {0}},
                                              {{4095}, {0}},
                                              {{4097}, {0}},
                                              {{70001}, {0}},
                                              {{3, 5}, {0}},
                                              {{3, 5}, {1}},
                                              {{129, 1}, {0}},
                                              {{1, 129}, {0}},
                                              {{1000, 3}, {0}},
                                              {{1000, 3}, {1}},
                                              {{3, 1000}, {0}},
                                              {{3, 1000}, {1}},
                                              {{20000, 7}, {0}},
                                              {{20000, 7}, {1}},
                                              {{7, 20000}, {1}},
                                              {{2, 40000}, {0}},
                                              {{511, 513}, {0}},
                                              {{511, 513}, {1}},
                                              {{513, 127}, {0}},
                                              {{6, 50, 64}, {0, 1}},
                                              {{6, 50, 64}, {1}},
                                              {{6, 50, 64}, {0, 2}},
                                              {{6, 50, 64}, {2}},
                                              {{6, 50, 64}, {0, 1, 2}},
                                              {{3, 4, 5, 6}, {1, 3}},
                                              {{3, 4, 5, 6}, {0, 2}},
                                              {{40, 9, 9, 8}, {0, 1, 2}},
                                              {{5, 1, 6}, {1}},
                                              {{2, 3, 4}, {0, 1, 2}}};
  return cases;
}

// Tensors of one shape and dtype with different memory layouts.
std::vector<Tensor> layouts(Device d, DType t, const Shape& shape, Values values) {
  std::vector<Tensor> all = {random_tensor(d, t, shape, 1, values)};
  Shape reversed, doubled, single;
  std::vector<Slice> every_other, backwards;
  for (int i = 0; i < shape.rank(); ++i) {
    reversed.append(shape[shape.rank() - 1 - i]);
    doubled.append(2 * shape[i]);
    single.append(i == 0 ? 1 : shape[i]);
    every_other.push_back({i, 1, std::nullopt, 2});
    backwards.push_back({i, -1, std::nullopt, -1});
  }
  all.push_back(transpose(random_tensor(d, t, reversed, 2, values)));
  all.push_back(slice(random_tensor(d, t, doubled, 3, values), every_other));
  all.push_back(slice(random_tensor(d, t, shape, 4, values), backwards));
  all.push_back(broadcast_to(random_tensor(d, t, single, 5, values), shape));
  return all;
}

// Calls check(axes, ours, theirs, what) for every case and layout. Both tensors hold the same elements.
template <class Check>
void for_each_case(DType t, Values values, Check&& check) {
  for (const AxesCase& c : axes_cases()) {
    const std::vector<Tensor> ours = layouts(cpu(), t, c.shape, values),
                              theirs = layouts(reference(), t, c.shape, values);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      check(c.axes, ours[i], theirs[i],
            std::string(name_of(t)) + " " + c.shape.to_string() + " layout " + std::to_string(i));
    }
  }
}

TEST(Reduce, SumsOfFloatsRoundOnce) {
  for (DType t : {f32, f64}) {
    for_each_case(t, Values::plain,
                  [&](const Ints& axes, const Tensor& ours, const Tensor& theirs, const std::string& what) {
                    const double unit = t == f32 ? 0x1p-24 : 0x1p-53;
                    for (bool mean_too : {false, true}) {
                      const auto f = [&](const Tensor& x) { return mean_too ? mean(x, {axes}) : sum(x, {axes, true}); };
                      const double own_rounding = mean_too ? 2 : 1;
                      const Tensor expected = f(theirs), size = f(abs(theirs));
                      // Both add in double; the reference driver's error grows with the number of elements.
                      const Tensor budget = abs(expected) * (own_rounding * unit * 1.01) + size * 1e-11;
                      EXPECT_TRUE(close(f(ours), expected, budget, 1)) << what;
                    }
                  });
  }
}

TEST(Reduce, SumsOfIntegersWrap) {
  for (DType t : {i32, i64}) {
    for_each_case(t, Values::awkward,
                  [&](const Ints& axes, const Tensor& ours, const Tensor& theirs, const std::string& what) {
                    EXPECT_TRUE(same_bits(sum(ours, {axes}), sum(theirs, {axes}))) << what;
                  });
  }
}

TEST(Reduce, ExtremesAreExact) {
  for (DType t : {f32, f64, i32, i64}) {
    for_each_case(t, Values::awkward,
                  [&](const Ints& axes, const Tensor& ours, const Tensor& theirs, const std::string& what) {
                    EXPECT_TRUE(same_bits(max(ours, {axes}), max(theirs, {axes}))) << what;
                    EXPECT_TRUE(same_bits(min(ours, {axes}), min(theirs, {axes}))) << what;
                    EXPECT_TRUE(same_bits(argmax(ours, axes[0]), argmax(theirs, axes[0]))) << what;
                  });
    // Also without NaN, which wins in nearly all long rows of awkward values.
    for (const Shape& shape : {Shape{3, 5000}, Shape{5000, 3}, Shape{40, 50}}) {
      for (std::int64_t axis : {0, 1}) {
        expect_same("max", [&](Device d) { return max(random_tensor(d, t, shape, 1), {{axis}}); });
        expect_same("min", [&](Device d) { return min(random_tensor(d, t, shape, 1), {{axis}}); });
        expect_same("argmax", [&](Device d) { return argmax(random_tensor(d, t, shape, 1), axis); });
      }
    }
  }
}

TEST(Reduce, InfinitiesAndNanInSums) {
  const Tensor x = random_tensor(cpu(), f32, {50, 40}, 1, Values::awkward);
  const Tensor y = random_tensor(reference(), f32, {50, 40}, 1, Values::awkward);
  for (std::int64_t axis : {0, 1}) EXPECT_TRUE(same_bits(sum(x, {{axis}}), sum(y, {{axis}})));
}

TEST(Reduce, Empty) {
  for (const AxesCase& c : {AxesCase{{0, 3}, {0}}, AxesCase{{3, 0}, {1}}, AxesCase{{0}, {0}}, AxesCase{{2, 0, 4}, {1}},
                            AxesCase{{0, 5}, {1}}, AxesCase{{2, 0, 4}, {0}}, AxesCase{{0, 0}, {0, 1}}}) {
    expect_same("empty " + c.shape.to_string(),
                [&](Device d) { return sum(random_tensor(d, f32, c.shape, 1), {c.axes}); });
  }
}

TEST(Reduce, FirstOfSeveral) {
  for (const Shape& shape : {Shape{3, 200}, Shape{200, 3}, Shape{5, 7, 9}}) {
    for (std::int64_t axis = 0; axis < shape.rank(); ++axis) {
      expect_same("ties", [&](Device d) {
        const Tensor x = cast(cast(random_tensor(d, f32, shape, 7), i32), f32);
        return argmax(x, axis);
      });
      // argmax treats zeros of both signs as equal.
      expect_same("zeros", [&](Device d) { return argmax(random_tensor(d, f32, shape, 7) * 0, axis); });
    }
  }
}

// The error of a naive sum grows with n. Here each of 2^22 additions would lose up to half a unit in the last place.
TEST(Reduce, ErrorsHardlyGrow) {
  constexpr std::int64_t n = 1 << 22;
  const std::vector<char> bytes = draw(DType::f64, n, 11);
  long double exact = 0, magnitude = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    double v = 0;
    std::memcpy(&v, bytes.data() + i * 8, 8);
    exact += v;
    magnitude += std::fabs(v);
  }
  const Tensor x = Tensor::from_bytes(bytes.data(), bytes.size(), {f64, {n}}, cpu());
  for (const Shape& shape : {Shape{n}, Shape{n / 8, 8}, Shape{n / 1024, 1024}}) {
    const Tensor columns = sum(reshape(x, shape), {{0}});
    const double total = sum(columns).item<double>();
    EXPECT_LE(std::fabs(static_cast<double>(total - exact)), 220 * 0x1p-53 * static_cast<double>(magnitude)) << shape;
  }
}

TEST(Reduce, ThreadsDoNotMatter) {
  for (const AxesCase& c :
       {AxesCase{{1 << 20}, {0}}, AxesCase{{30000, 33}, {0}}, AxesCase{{30000, 33}, {1}}, AxesCase{{3, 100000}, {1}},
        AxesCase{{64, 28, 28, 32}, {0, 1, 2}}, AxesCase{{40, 900, 32}, {1}}}) {
    for (DType t : {f32, f64}) {
      expect_same_for_threads("sum", [&](Device d) { return sum(random_tensor(d, t, c.shape, 1), {c.axes}); });
    }
    expect_same_for_threads("max", [&](Device d) { return max(random_tensor(d, f32, c.shape, 1), {c.axes}); });
    expect_same_for_threads("argmax", [&](Device d) { return argmax(random_tensor(d, f32, c.shape, 1), c.axes[0]); });
  }
}

}  // namespace
}  // namespace lockstep::testing
