// Tests the taps, values and gradients of pooling against the reference driver.
#include "backends/cpu/test_support.h"
#include "lockstep/driver_ops.h"

namespace lockstep::testing {
namespace {

struct Geometry {
  const char* name;
  Shape x;
  Pair window{2, 2}, strides{2, 2};
  std::array<std::int64_t, 4> padding{0, 0, 0, 0};

  Pool2d options() const { return {window, strides, Padding::of(padding[0], padding[1], padding[2], padding[3])}; }
  Shape pooled() const {
    const auto extent = [&](int i) {
      const auto s = static_cast<std::size_t>(i);
      return (x[i + 1] + padding[2 * s] + padding[2 * s + 1] - window[s]) / strides[s] + 1;
    };
    return {x[0], extent(0), extent(1), x[3]};
  }
};

const Geometry geometries[] = {
    {"the cnn's", {3, 24, 24, 64}},
    {"a rest at the edges", {2, 7, 9, 5}},
    {"overlapping", {2, 9, 8, 17}, {3, 3}, {2, 2}},
    {"overlapping by all but one", {1, 6, 7, 33}, {3, 2}, {1, 1}, {1, 2, 0, 1}},
    {"padded unequally", {2, 5, 6, 3}, {3, 4}, {2, 3}, {2, 1, 3, 2}},
    {"gaps between windows", {1, 11, 13, 4}, {2, 3}, {4, 5}},
    {"one window for all", {2, 4, 5, 7}, {4, 5}, {1, 1}},
    {"one channel", {2, 8, 8, 1}, {3, 3}, {2, 2}, {1, 1, 1, 1}},
    {"single pixels", {1, 3, 4, 6}, {1, 1}, {1, 1}},
    {"no images", {0, 4, 4, 3}},
    {"no channels", {2, 4, 4, 0}},
};

lks_int_list list(std::initializer_list<std::int64_t> values) {
  lks_int_list out{};
  for (std::int64_t v : values) out.values[out.count++] = v;
  return out;
}

lks_max_pool2d_backward_attrs attrs_of(const Geometry& g) {
  return {list({g.window[0], g.window[1]}), list({g.strides[0], g.strides[1]}),
          list({g.padding[0], g.padding[1], g.padding[2], g.padding[3]}), list({g.x[0], g.x[1], g.x[2], g.x[3]})};
}

// Returns the values and the taps.
std::vector<Tensor> max_and_taps(const Geometry& g, const Tensor& x) {
  const lks_max_pool2d_backward_attrs all = attrs_of(g);
  const lks_max_pool2d_attrs attrs{all.window, all.strides, all.padding};
  const Operand operand(x);
  return invoke(*find_op("max_pool2d"), std::span(&operand, 1), &attrs);
}

Tensor max_gradient(const Geometry& g, const Tensor& dy, const Tensor& taps) {
  const lks_max_pool2d_backward_attrs attrs = attrs_of(g);
  return invoke1(*find_op("max_pool2d_backward"), {dy, taps}, &attrs);
}

Tensor gathered(const Geometry& g, const Tensor& x, const Tensor& taps) {
  const lks_max_pool2d_backward_attrs all = attrs_of(g);
  const lks_max_pool2d_gather_attrs attrs{all.window, all.strides, all.padding};
  return invoke1(*find_op("max_pool2d_gather"), {x, taps}, &attrs);
}

TEST(CpuPool, MaximaAndTapsAreTheReferencesForNanTiesAndInfinities) {
  for (DType t : {f32, f64}) {
    for (const Geometry& g : geometries) {
      // Few distinct values, so that many windows have ties.
      const auto tied = [&](Device d) { return cast(random_tensor(d, i32, g.x, 4), t); };
      for (std::size_t o = 0; o < 2; ++o) {
        const std::string what = std::string(name_of(t)) + " " + g.name;
        expect_same(what, [&](Device d) { return max_and_taps(g, random_tensor(d, t, g.x, 3, Values::awkward))[o]; });
        expect_same(what + ", ties", [&](Device d) { return max_and_taps(g, tied(d))[o]; });
      }
    }
  }
}

TEST(CpuPool, GradientsGoWhereTheTapsPointInTheReferencesOrder) {
  for (DType t : {f32, f64}) {
    for (const Geometry& g : geometries) {
      expect_same(std::string(name_of(t)) + " " + g.name, [&](Device d) {
        const Tensor taps = max_and_taps(g, random_tensor(d, t, g.x, 3))[1];
        return max_gradient(g, random_tensor(d, t, g.pooled(), 5), taps);
      });
    }
  }
}

TEST(CpuPool, GatheringByTapsGivesTheMaximaAgain) {
  for (DType t : {f32, f64}) {
    for (const Geometry& g : geometries) {
      const Tensor x = random_tensor(cpu(), t, g.x, 3, Values::awkward);
      const std::vector<Tensor> max = max_and_taps(g, x);
      EXPECT_TRUE(same_bits(gathered(g, x, max[1]), max[0])) << name_of(t) << " " << g.name;
    }
  }
}

TEST(CpuPool, TapsOutsideTheImageAreRefusedByGatherAndIgnoredByTheGradient) {
  const Geometry g{"padded", {1, 4, 4, 2}, {3, 3}, {2, 2}, {1, 1, 1, 1}};
  const Tensor x = random_tensor(cpu(), f32, g.x, 3);
  for (double tap : {0.0, 9.0, -1.0, 2e9}) {  // 0 is the padded corner of the first window
    const Tensor taps = to_device(full(g.pooled(), tap, i32), cpu());
    EXPECT_THROW(gathered(g, x, taps), Error) << tap;
  }
  const Tensor far = to_device(full(g.pooled(), 2e9, i32), cpu());
  EXPECT_EQ(sum(abs(max_gradient(g, random_tensor(cpu(), f32, g.pooled(), 3), far))).item<float>(), 0);
}

TEST(CpuPool, AveragesAndTheirGradientsAgree) {
  for (DType t : {f32, f64}) {
    const double unit = t == f64 ? 0x1p-53 : 0x1p-24;
    for (const Geometry& g : geometries) {
      const auto bound = 2 * static_cast<double>(g.window[0] * g.window[1] + 1) * unit;
      const auto average = [&](Device d, bool magnitude) {
        const Tensor x = random_tensor(d, t, g.x, 3);
        return avg_pool2d(magnitude ? abs(x) : x, g.options());
      };
      EXPECT_TRUE(close(average(cpu(), false), average(reference(), false), average(reference(), true), bound))
          << g.name;
      const auto gradient = [&](Device d, bool magnitude) {
        const lks_max_pool2d_backward_attrs attrs = attrs_of(g);
        const Tensor dy = random_tensor(d, t, g.pooled(), 3);
        return invoke1(*find_op("avg_pool2d_backward"), {magnitude ? abs(dy) : dy}, &attrs);
      };
      EXPECT_TRUE(close(gradient(cpu(), false), gradient(reference(), false), gradient(reference(), true), bound))
          << g.name;
    }
  }
}

TEST(CpuPool, ThreadsDoNotChangeResults) {
  const Geometry& g = geometries[2];
  for (std::size_t o = 0; o < 2; ++o) {
    expect_same_for_threads(g.name, [&](Device d) {
      return max_and_taps(g, random_tensor(d, f32, {8, 65, 64, 17}, 3))[o];
    });
  }
  expect_same_for_threads(g.name, [&](Device d) {
    return avg_pool2d(random_tensor(d, f32, {8, 65, 64, 17}, 3), g.options());
  });
}

}  // namespace
}  // namespace lockstep::testing
