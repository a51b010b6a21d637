// Tests convolution and its gradients against the reference driver, for many geometries, groups, layouts and numbers of
// threads.
#include <cmath>
#include <thread>

#include "backends/cpu/test_support.h"
#include "lockstep/driver_ops.h"

namespace lockstep::testing {
namespace {

struct Geometry {
  const char* name;
  Shape x, w;
  Pair strides{1, 1};
  std::array<std::int64_t, 4> padding{0, 0, 0, 0};
  Pair dilation{1, 1};
  std::int64_t groups = 1;

  Convolution options() const {
    return {strides, Padding::of(padding[0], padding[1], padding[2], padding[3]), dilation, groups};
  }
  Shape result() const {
    const auto extent = [&](int i) {
      const auto s = static_cast<std::size_t>(i);
      return (x[i + 1] + padding[2 * s] + padding[2 * s + 1] - (w[i + 1] - 1) * dilation[s] - 1) / strides[s] + 1;
    };
    return {x[0], extent(0), extent(1), w[0]};
  }
};

const Geometry geometries[] = {
    {"first layer of a cnn", {3, 28, 28, 1}, {32, 3, 3, 1}},
    {"second layer of a cnn", {2, 26, 26, 32}, {64, 3, 3, 32}},
    {"pointwise, prime channels", {2, 5, 7, 13}, {17, 1, 1, 13}},
    {"one pixel, one channel", {1, 1, 1, 1}, {1, 1, 1, 1}},
    {"window as large as the image", {2, 4, 5, 3}, {33, 4, 5, 3}},
    {"padding on four unequal sides", {2, 6, 7, 5}, {7, 3, 3, 5}, {1, 1}, {2, 0, 1, 3}},
    {"strides that leave a rest", {1, 11, 14, 4}, {6, 3, 2, 4}, {3, 2}, {1, 0, 0, 1}},
    {"stride larger than the window", {1, 12, 9, 3}, {5, 2, 2, 3}, {4, 3}},
    {"dilated", {1, 13, 11, 3}, {4, 3, 3, 3}, {1, 1}, {1, 2, 2, 1}, {3, 2}},
    {"dilated and strided", {2, 15, 13, 2}, {3, 3, 3, 2}, {2, 3}, {2, 1, 0, 2}, {2, 2}},
    {"two groups", {2, 6, 6, 6}, {8, 3, 3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 2},
    {"five groups, strided", {1, 9, 9, 10}, {15, 3, 3, 2}, {2, 2}, {0, 1, 1, 0}, {1, 1}, 5},
    {"depthwise", {2, 8, 7, 19}, {19, 3, 3, 1}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 19},
    {"depthwise, strided and dilated", {1, 12, 13, 67}, {67, 3, 2, 1}, {2, 3}, {2, 1, 0, 1}, {2, 1}, 67},
    {"two filters a channel", {1, 7, 7, 5}, {10, 3, 3, 1}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 5},
    {"no images", {0, 6, 6, 3}, {4, 3, 3, 3}},
    {"no filters", {2, 6, 6, 3}, {0, 3, 3, 3}},
};

lks_int_list list(std::initializer_list<std::int64_t> values) {
  lks_int_list out{};
  for (std::int64_t v : values) out.values[out.count++] = v;
  return out;
}

Tensor gradient(const char* op, const Geometry& g, const Tensor& a, const Tensor& b, const Shape& shape) {
  static_assert(sizeof(lks_conv2d_backward_input_attrs) == sizeof(lks_conv2d_backward_filter_attrs));
  const lks_conv2d_backward_input_attrs attrs{
      list({g.strides[0], g.strides[1]}), list({g.padding[0], g.padding[1], g.padding[2], g.padding[3]}),
      list({g.dilation[0], g.dilation[1]}), g.groups, list({shape[0], shape[1], shape[2], shape[3]})};
  return invoke1(*find_op(op), {a, b}, &attrs);
}

Tensor forward(const Geometry& g, const Tensor& x, const Tensor& w) { return conv2d(x, w, g.options()); }
Tensor input_gradient(const Geometry& g, const Tensor& dy, const Tensor& w) {
  return gradient("conv2d_backward_input", g, dy, w, g.x);
}
Tensor filter_gradient(const Geometry& g, const Tensor& x, const Tensor& dy) {
  return gradient("conv2d_backward_filter", g, x, dy, g.w);
}

using Pass = Tensor (*)(const Geometry&, const Tensor&, const Tensor&);

// A pass, the shapes of its two operands, and the most products in one of its sums.
struct Case {
  Pass pass;
  Shape first, second;
  std::int64_t terms;
};

std::vector<Case> cases_of(const Geometry& g) {
  const Shape y = g.result();
  const std::int64_t taps = g.w[1] * g.w[2];
  return {{&forward, g.x, g.w, taps * g.w[3]},
          {&input_gradient, y, g.w, taps * g.w[0] / g.groups},
          {&filter_gradient, g.x, y, y[0] * y[1] * y[2]}};
}

::testing::AssertionResult agrees(const Tensor& mine, const Geometry& g, const Case& c, DType t) {
  const Tensor a = random_tensor(reference(), t, c.first, 1), b = random_tensor(reference(), t, c.second, 2);
  const double unit = t == f64 ? 0x1p-53 : 0x1p-24;
  return close(mine, c.pass(g, a, b), c.pass(g, abs(a), abs(b)), 2 * static_cast<double>(c.terms + 1) * unit);
}

TEST(CpuConv, AgreesInAllThreePassesForEveryGeometry) {
  for (DType t : {f32, f64}) {
    for (const Geometry& g : geometries) {
      for (const Case& c : cases_of(g)) {
        const Tensor mine = c.pass(g, random_tensor(cpu(), t, c.first, 1), random_tensor(cpu(), t, c.second, 2));
        EXPECT_TRUE(agrees(mine, g, c, t)) << name_of(t) << " " << g.name;
      }
    }
  }
}

TEST(CpuConv, BiasIsAddedToEveryPixel) {
  for (DType t : {f32, f64}) {
    for (const Geometry& g : geometries) {
      const auto run = [&](Device d) {
        return conv2d(random_tensor(d, t, g.x, 1), random_tensor(d, t, g.w, 2), random_tensor(d, t, {g.w[0]}, 3),
                      g.options());
      };
      const Tensor expected = run(reference());
      const Tensor budget =
          forward(g, abs(random_tensor(reference(), t, g.x, 1)), abs(random_tensor(reference(), t, g.w, 2)));
      const double terms = static_cast<double>(g.w[1] * g.w[2] * g.w[3] + 2), unit = t == f64 ? 0x1p-53 : 0x1p-24;
      EXPECT_TRUE(close(run(cpu()), expected, add(budget, 4.0), 2 * terms * unit)) << name_of(t) << " " << g.name;
    }
  }
}

TEST(CpuConv, ReadsTransposedImagesAndSlicedFilters) {
  const Geometry& g = geometries[5];
  for (DType t : {f32, f64}) {
    const auto run = [&](Device d) {
      const Tensor image = transpose(random_tensor(d, t, {7, 5, 2, 6}, 1), {2, 3, 0, 1});  // stored as W, C, N, H
      const Tensor filter = slice(random_tensor(d, t, {7, 3, 3, 10}, 2), {{.axis = 3, .step = 2}});
      return forward(g, image, filter);
    };
    EXPECT_TRUE(close(run(cpu()), run(reference()), add(abs(run(reference())), 50.0), t == f64 ? 1e-14 : 1e-6));
  }
}

TEST(CpuConv, NotANumberReachesTheWindowsOverItAndNoOthers) {
  for (DType t : {f32, f64}) {
    std::vector<double> expected;
    for (Device d : {reference(), cpu()}) {
      const Tensor special = to_device(full({1, 1, 1, 2}, std::nan(""), t), d);
      const Tensor image = pad(special, {0, 3, 4, 0}, {0, 4, 2, 0});  // at (3, 4) of 8 × 7
      const Tensor nan = not_equal(image, image);
      const Tensor y = conv2d(image, random_tensor(d, t, {5, 3, 3, 2}, 2));
      const Tensor count = sum(cast(not_equal(y, y), f64));
      expected.push_back(count.item<double>());
      EXPECT_EQ(sum(cast(nan, f64)).item<double>(), 2);
    }
    EXPECT_EQ(expected[0], 45);
    EXPECT_EQ(expected[1], expected[0]);
  }
}

TEST(CpuConv, PaddingIsLeftOutEvenUnderInfiniteFactors) {
  for (DType t : {f32, f64}) {
    for (const Geometry& g : {geometries[5], geometries[6], geometries[9], geometries[10], geometries[12]}) {
      // Not the filter's gradient in f32: oneDNN may read padding as zeros there.
      for (std::size_t pass = 0; pass < (t == f32 ? 2u : 3u); ++pass) {
        const Case c = cases_of(g)[pass];
        // All factors are positive, so that only a product of zero and infinity could make NaN.
        const auto run = [&](Device d) {
          const Tensor first = add(abs(random_tensor(d, t, c.first, 1)), 1.0);
          const Tensor second =
              where(less(random_tensor(d, t, c.second, 2), -1.5), to_device(full({}, HUGE_VAL, t), d), 1.0);
          return c.pass(g, first, second);
        };
        const Tensor mine = run(cpu()), expected = run(reference());
        EXPECT_TRUE(close(mine, expected, abs(expected), 1e-4)) << name_of(t) << " " << g.name << " pass " << pass;
      }
    }
  }
}

TEST(CpuConv, ServesSeveralThreadsAtOnceAndOtherThreadCountsThanItWasMadeFor) {
  const Geometry& g = geometries[1];
  for (const Case& c : cases_of(g)) {
    const Tensor a = random_tensor(cpu(), f32, c.first, 1), b = random_tensor(cpu(), f32, c.second, 2);
    for (unsigned count : {2u, 1u, 4u}) {
      set_thread_count(count);
      std::vector<std::thread> threads;
      std::vector<Tensor> results(3, a);
      for (Tensor& result : results) {
        threads.emplace_back([&] {
          for (int i = 0; i < 3; ++i) result = c.pass(g, a, b);
        });
      }
      for (std::thread& thread : threads) thread.join();
      for (const Tensor& result : results) EXPECT_TRUE(agrees(result, g, c, f32)) << count << " threads";
    }
    set_thread_count(0);
  }
}

// The extents are of no other test, so that no kernel is prepared yet.
TEST(CpuConv, IsDividedAmongAllThreadsThoughAThreadAloneNeededItFirst) {
  const MathModeScope mode(MathMode::lockstep);
  const Geometry g{"for three threads", {3, 23, 29, 17}, {67, 3, 3, 17}};
  for (const Case& c : cases_of(g)) {
    const Tensor a = random_tensor(cpu(), f32, c.first, 1), b = random_tensor(cpu(), f32, c.second, 2);
    expect_divided_after_a_call_alone(g.name, 3, [&] { return c.pass(g, a, b); });
  }
}

}  // namespace
}  // namespace lockstep::testing
