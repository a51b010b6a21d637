// Convolution and pooling over one, two and three spatial axes on every device, compared with plain loops.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "lockstep/call_op.h"
#include "lockstep/lockstep.h"
#include "runtime/device_state.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

using Values = std::vector<float>;
using Triple = std::array<std::int64_t, 3>;

template <class F>
void expect_error(F&& f, ErrorId id, const std::initializer_list<std::string>& parts) {
  expect_error_saying(f, id, parts, "spatial_test.cpp:");
}

class Spatial : public testing::TestWithParam<std::string> {
 protected:
  Device device{GetParam()};
  DeviceScope scope{device};
};

// Small whole numbers, so that every order of summation is exact.
Values whole_numbers(std::int64_t count, std::int64_t seed) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>((i * 7 + seed) % 11 - 5));
  return values;
}
Tensor whole(const Shape& shape, std::int64_t seed) { return {whole_numbers(shape.size(), seed), shape}; }

// A convolution over three axes. Over one or two, the first extents are 1.
struct Window {
  Triple strides{1, 1, 1};
  std::array<std::int64_t, 6> padding{};
  Triple dilation{1, 1, 1};
  std::int64_t groups = 1;
};

// Calls visit(y, x, w), the positions of a result and of the two factors of one of its products.
template <class Visit>
void for_each_product(const Shape& x, const Shape& w, const Shape& y, const Window& a, Visit&& visit) {
  const auto position = [](const Shape& s, const std::array<std::int64_t, 5>& i) {
    std::int64_t n = 0;
    for (int d = 0; d < 5; ++d) n = n * s[d] + i[static_cast<std::size_t>(d)];
    return static_cast<std::size_t>(n);
  };
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t od = 0; od < y[1]; ++od)
      for (std::int64_t oh = 0; oh < y[2]; ++oh)
        for (std::int64_t ow = 0; ow < y[3]; ++ow)
          for (std::int64_t o = 0; o < y[4]; ++o)
            for (std::int64_t kd = 0; kd < w[1]; ++kd)
              for (std::int64_t kh = 0; kh < w[2]; ++kh)
                for (std::int64_t kw = 0; kw < w[3]; ++kw) {
                  const std::int64_t d = od * a.strides[0] - a.padding[0] + kd * a.dilation[0];
                  const std::int64_t h = oh * a.strides[1] - a.padding[2] + kh * a.dilation[1];
                  const std::int64_t v = ow * a.strides[2] - a.padding[4] + kw * a.dilation[2];
                  if (d < 0 || d >= x[1] || h < 0 || h >= x[2] || v < 0 || v >= x[3]) continue;
                  for (std::int64_t i = 0; i < w[4]; ++i) {
                    visit(position(y, {n, od, oh, ow, o}), position(x, {n, d, h, v, o / (w[0] / a.groups) * w[4] + i}),
                          position(w, {o, kd, kh, kw, i}));
                  }
                }
}

// The shape with extents of 1 in front of its spatial extents, up to rank 5.
Shape as_volume(const Shape& shape) {
  Shape out{shape.dim(0)};
  for (int i = shape.rank(); i < 5; ++i) out.append(1);
  for (int d = 1; d < shape.rank(); ++d) out.append(shape.dim(d));
  return out;
}

// The result of a convolution, and the gradients of its contraction with c.
struct Expected {
  Values y, dx, dw;
};
Expected expected(const Tensor& x, const Tensor& w, const Tensor& c, const Window& a) {
  const Values xs = x.to_vector<float>(), ws = w.to_vector<float>(), cs = c.to_vector<float>();
  Expected e{Values(cs.size()), Values(xs.size()), Values(ws.size())};
  for_each_product(as_volume(x.shape()), as_volume(w.shape()), as_volume(c.shape()), a,
                   [&](std::size_t y, std::size_t i, std::size_t k) {
                     e.y[y] += xs[i] * ws[k];
                     e.dx[i] += cs[y] * ws[k];
                     e.dw[k] += cs[y] * xs[i];
                   });
  return e;
}

// One convolution: its result, and its gradients of first and second order.
void expect_convolution(const Shape& image, const Shape& filter, const Shape& result, const SpatialConvolution& options,
                        const Window& a) {
  SCOPED_TRACE(image.to_string() + " with " + filter.to_string());
  const Tensor x = whole(image, 1), w = whole(filter, 4), c = whole(result, 2), direction = whole(image, 6);
  const Expected e = expected(x, w, c, a);
  GradientTape outer;
  outer.watch(w);
  GradientTape tape;
  tape.watch(x);
  tape.watch(w);
  const Tensor y = conv(x, w, options);
  ASSERT_EQ(y.shape(), result);
  EXPECT_EQ(y.to_vector<float>(), e.y);
  const std::vector<Tensor> gradients = tape.gradient(sum(y * c), {x, w});
  EXPECT_EQ(gradients[0].to_vector<float>(), e.dx);
  EXPECT_EQ(gradients[1].to_vector<float>(), e.dw);
  // The gradient by x is linear in w: its contraction with a direction has the gradient of conv(direction, w) by w.
  const Tensor second = outer.gradient(sum(gradients[0] * direction), w);
  EXPECT_EQ(second.to_vector<float>(), expected(direction, w, c, a).dw);
  // Without a tape, drivers are asked for the op itself first.
  EXPECT_EQ(conv(x, w, options).to_vector<float>(), e.y);
}

TEST_P(Spatial, ConvolvesOverOneAxis) {
  expect_convolution({2, 7, 3}, {4, 3, 3}, {2, 5, 4}, {}, {});
  expect_convolution({1, 9, 2}, {3, 2, 2}, {1, 5, 3}, {.strides = {2}, .padding = Padding::of(1, 0)},
                     {.strides = {1, 1, 2}, .padding = {0, 0, 0, 0, 1, 0}});
  expect_convolution({1, 9, 4}, {6, 3, 2}, {1, 6, 6}, {.padding = Padding::of(0, 1), .dilation = {2}, .groups = 2},
                     {.padding = {0, 0, 0, 0, 0, 1}, .dilation = {1, 1, 2}, .groups = 2});
}

TEST_P(Spatial, ConvolvesOverTwoAxes) {
  expect_convolution({1, 5, 6, 2}, {3, 2, 3, 2}, {1, 3, 4, 3}, {.strides = {2, 1}, .padding = Padding::of(1, 0, 0, 0)},
                     {.strides = {1, 2, 1}, .padding = {0, 0, 1, 0, 0, 0}});
}

TEST_P(Spatial, ConvolvesOverThreeAxes) {
  expect_convolution({2, 3, 4, 3, 2}, {3, 2, 2, 3, 2}, {2, 2, 3, 1, 3}, {}, {});
  expect_convolution(
      {1, 5, 4, 6, 4}, {2, 2, 2, 3, 2}, {1, 3, 4, 3, 2},
      {.strides = {2, 1, 2}, .padding = Padding::of(1, 2, 0, 1, 1, 0), .dilation = {2, 1, 1}, .groups = 2},
      {{2, 1, 2}, {1, 2, 0, 1, 1, 0}, {2, 1, 1}, 2});
  // Results of which all taps of the first axis lie in the padding, in front and behind.
  expect_convolution({1, 2, 2, 3, 1}, {2, 2, 1, 2, 1}, {1, 6, 2, 2, 2}, {.padding = Padding::of(3, 2, 0, 0, 0, 0)},
                     {.padding = {3, 2, 0, 0, 0, 0}});
}

TEST_P(Spatial, AddsTheBiasOnce) {
  const Tensor bias(Values{10, 20}, Shape{2});
  const Tensor line = conv(ones({1, 3, 1}), ones({2, 2, 1}), bias);
  EXPECT_EQ(line.to_vector<float>(), (Values{12, 22, 12, 22}));
  const Tensor volume =
      conv(ones({1, 3, 1, 1, 1}), ones({2, 2, 1, 1, 1}), bias, {.padding = Padding::of(0, 2, 0, 0, 0, 0)});
  EXPECT_EQ(volume.to_vector<float>(), (Values{12, 22, 12, 22, 11, 21, 10, 20}));
  GradientTape tape;
  tape.watch(bias);
  const Tensor y = conv(ones({1, 3, 1, 1, 1}), ones({2, 2, 1, 1, 1}), bias);
  EXPECT_EQ(tape.gradient(sum(y), bias).to_vector<float>(), (Values{2, 2}));
}

TEST_P(Spatial, PadsToTheSameExtents) {
  EXPECT_EQ(conv(ones({1, 7, 1}), ones({1, 4, 1}), {.padding = Padding::same()}).shape(), (Shape{1, 7, 1}));
  const Tensor strided = conv(ones({1, 7, 1}), ones({1, 4, 1}), {.strides = {3}, .padding = Padding::same()});
  // Three windows begin at -1, 2 and 5: three elements, four, and two.
  EXPECT_EQ(strided.to_vector<float>(), (Values{3, 4, 2}));
  EXPECT_EQ(
      conv(ones({1, 5, 4, 3, 1}), ones({2, 3, 2, 2, 1}), {.strides = {2, 1, 3}, .padding = Padding::same()}).shape(),
      (Shape{1, 3, 4, 1, 2}));
  EXPECT_EQ(max_pool(ones({1, 5, 1}), {.padding = Padding::same()}).shape(), (Shape{1, 3, 1}));
  EXPECT_EQ(avg_pool(ones({1, 5, 4, 3, 1}), {.padding = Padding::same()}).shape(), (Shape{1, 3, 2, 2, 1}));
}

TEST_P(Spatial, MultipliesNothingByThePadding) {
  const Tensor w(Values{INFINITY, 2}, Shape{1, 2, 1, 1, 1});
  const Tensor y = conv(ones({1, 1, 1, 1, 1}), w, {.padding = Padding::of(1, 0, 0, 0, 0, 0)});
  EXPECT_EQ(y.to_vector<float>(), (Values{2}));
}

TEST_P(Spatial, HasGradientsOfZeroWhereEveryTapIsInThePadding) {
  // The results read planes -1 and 1 of an image with one plane.
  const Tensor x = ones({1, 1, 2, 2, 1}), w = ones({1, 1, 1, 2, 1});
  GradientTape tape;
  tape.watch(x);
  tape.watch(w);
  const Tensor y = conv(x, w, {.strides = {2, 1, 1}, .padding = Padding::of(1, 1, 0, 0, 0, 0)});
  EXPECT_EQ(y.to_vector<float>(), Values(4, 0.0f));
  const std::vector<Tensor> gradients = tape.gradient(sum(y), {x, w});
  EXPECT_EQ(gradients[0].to_vector<float>(), Values(4, 0.0f));
  EXPECT_EQ(gradients[1].to_vector<float>(), Values(2, 0.0f));
}

TEST_P(Spatial, RoundsNarrowDtypesOnce) {
  // 2048 + 1 is not an f16: if planes were rounded before they are added, the ones would be lost.
  const Tensor x = cast(ones({1, 3, 1, 1, 1}), f16), w(Values{2048, 1, 1}, Shape{1, 3, 1, 1, 1});
  const Tensor y = conv(x, cast(w, f16));
  EXPECT_EQ(y.dtype(), f16);
  EXPECT_EQ(cast(y, f32).to_vector<float>(), (Values{2050}));
}

TEST_P(Spatial, SumsPlanesInAscendingOrderInLockstepMode) {
  if (!device.state().offers(MathMode::lockstep)) GTEST_SKIP() << "no lockstep mode";
  const MathModeScope mode(MathMode::lockstep);
  const Tensor x = random_normal({2, 4, 5, 4, 3}, 0, 1, {.key = RandomKey{1, 2}});
  const Tensor w = random_normal({4, 3, 2, 2, 3}, 0, 1, {.key = RandomKey{1, 3}});
  const std::vector<Tensor> planes = split(conv(x, w), 2, 1);
  for (std::int64_t od = 0; od < 2; ++od) {
    const auto product = [&](std::int64_t kd) { return conv2d(select_index(x, 1, od + kd), select_index(w, 1, kd)); };
    const Tensor sum = product(0) + product(1) + product(2);
    EXPECT_EQ(planes[static_cast<std::size_t>(od)].to_vector<float>(), sum.to_vector<float>()) << od;
  }
  const Values first = conv(x, w).to_vector<float>();
  const DeviceScope elsewhere{Device("reference")};
  EXPECT_EQ(conv(x.to(Device("reference")), w.to(Device("reference"))).to_vector<float>(), first);
}

// ------------------------------------------------------------------------------------------------------------- pooling

TEST_P(Spatial, PoolsOverOneAxis) {
  const Tensor x(Values{1, 5, 2, 2, -3, 7}, Shape{1, 6, 1});
  EXPECT_EQ(max_pool(x).to_vector<float>(), (Values{5, 2, 7}));
  EXPECT_EQ(avg_pool(x).to_vector<float>(), (Values{3, 2, 2}));
  const SpatialPool overlap{.window = {3}, .strides = {2}, .padding = Padding::of(1, 0)};
  EXPECT_EQ(max_pool(x, overlap).to_vector<float>(), (Values{5, 5, 7}));
  EXPECT_EQ(avg_pool(x, {.window = {2}, .strides = {1}, .padding = Padding::of(1, 0)}).to_vector<float>(),
            (Values{1, 3, 3.5, 2, -0.5, 2}));
}

TEST_P(Spatial, PoolsOverThreeAxes) {
  // 0 … 15 in two planes of two rows of four.
  const Tensor x = reshape(arange(16, f32), {1, 2, 2, 4, 1});
  EXPECT_EQ(max_pool(x).to_vector<float>(), (Values{13, 15}));
  EXPECT_EQ(avg_pool(x).to_vector<float>(), (Values{6.5, 8.5}));
  const SpatialPool through{.window = {2, 1, 1}, .strides = {1, 1, 2}, .padding = Padding::of(1, 0, 0, 0, 0, 0)};
  EXPECT_EQ(max_pool(x, through).to_vector<float>(), (Values{0, 2, 4, 6, 8, 10, 12, 14}));
  EXPECT_EQ(avg_pool(x, through).to_vector<float>(), (Values{0, 2, 4, 6, 4, 6, 8, 10}));
}

TEST_P(Spatial, PoolsOverTwoAxesAsTheOpsDo) {
  const Tensor x = whole({2, 5, 6, 3}, 3);
  const SpatialPool options{.window = {3, 2}, .strides = {2, 1}, .padding = Padding::of(1, 0, 0, 1)};
  const Pool2d same{.window = {3, 2}, .strides = Pair{2, 1}, .padding = Padding::of(1, 0, 0, 1)};
  EXPECT_EQ(max_pool(x, options).to_bytes(), max_pool2d(x, same).to_bytes());
  EXPECT_EQ(avg_pool(x, options).to_bytes(), avg_pool2d(x, same).to_bytes());
}

TEST_P(Spatial, TheFirstOfEqualElementsHasTheGradient) {
  const Tensor x = ones({1, 2, 2, 2, 1});
  GradientTape tape({.persistent = true});
  tape.watch(x);
  EXPECT_EQ(tape.gradient(sum(max_pool(x)) * 3, x).to_vector<float>(), (Values{3, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(tape.gradient(sum(avg_pool(x)) * 8, x).to_vector<float>(), Values(8, 1.0f));
  // +0 is above -0, in whichever plane.
  const Tensor zeros_of_both_signs(Values{-0.0f, -0.0f, -0.0f, 0.0f}, Shape{1, 4, 1, 1, 1});
  tape.watch(zeros_of_both_signs);
  const Tensor y = max_pool(zeros_of_both_signs, {.window = {4, 1, 1}});
  EXPECT_FALSE(std::signbit(y.to_vector<float>()[0]));
  EXPECT_EQ(tape.gradient(sum(y), zeros_of_both_signs).to_vector<float>(), (Values{0, 0, 0, 1}));
}

TEST_P(Spatial, MaximaOfNanAreNan) {
  Values values(16, 1.0f);
  values[9] = NAN;
  const Values y = max_pool(Tensor(values, Shape{1, 2, 2, 4, 1})).to_vector<float>();
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], 1.0f);
}

// ------------------------------------------------------------------------------------------------------------- by name

TEST_P(Spatial, IsCalledByName) {
  const Tensor signal = ones({1, 5, 1}), taps = ones({1, 2, 1});
  const std::array<Operand, 2> line{signal, taps};
  EXPECT_EQ(call_op("conv", line)[0].shape(), (Shape{1, 4, 1}));
  EXPECT_EQ(call_op("conv", line, {{"padding", "same"}, {"strides", {2}}})[0].shape(), (Shape{1, 3, 1}));
  EXPECT_EQ(call_op("conv", line, {{"padding", {2, 1}}})[0].shape(), (Shape{1, 7, 1}));
  const Tensor block = ones({1, 5, 4, 3, 1}), filter = ones({1, 2, 2, 2, 1});
  const std::array<Operand, 2> volume{block, filter};
  EXPECT_EQ(call_op("conv", volume, {{"dilation", {2, 1, 1}}})[0].shape(), (Shape{1, 3, 3, 2, 1}));
  const Tensor pixels = ones({1, 5, 4, 4, 1});
  const std::array<Operand, 1> image{pixels};
  EXPECT_EQ(call_op("max_pool", image)[0].shape(), (Shape{1, 2, 2, 2, 1}));
  EXPECT_EQ(call_op("avg_pool", image, {{"window", {5, 1, 2}}, {"strides", {1, 1, 1}}})[0].shape(),
            (Shape{1, 1, 4, 3, 1}));
}

INSTANTIATE_TEST_SUITE_P(Devices, Spatial, testing::ValuesIn(available_devices()), by_device);

// -------------------------------------------------------------------------------------------- abstract tensors,
// refusals

TEST(SpatialAbstractTensors, TakeASymbolicBatch) {
  const Dim batch = Dim::symbol("batch");
  const Tensor x = Tensor::abstract({f32, Shape{batch, 4, 6, 6, 2}}), w = Tensor::abstract({f32, {3, 2, 3, 3, 2}});
  GradientTape tape;
  tape.watch(x);
  tape.watch(w);
  const Tensor y = conv(x, w, {.padding = Padding::same()});
  EXPECT_EQ(y.shape(), (Shape{batch, 4, 6, 6, 3}));
  const Tensor pooled = max_pool(y);
  EXPECT_EQ(pooled.shape(), (Shape{batch, 2, 3, 3, 3}));
  const std::vector<Tensor> gradients = tape.gradient(sum(avg_pool(pooled, {.window = {2, 3, 3}})), {x, w});
  EXPECT_EQ(gradients[0].spec(), x.spec());
  EXPECT_EQ(gradients[1].spec(), w.spec());
}

TEST(SpatialAbstractTensors, TakeASymbolicDepthWithoutPadding) {
  const Dim depth = Dim::symbol("depth");
  const Tensor x = Tensor::abstract({f32, Shape{2, depth, 6, 6, 2}}), w = Tensor::abstract({f32, {3, 2, 3, 3, 2}});
  GradientTape tape;
  tape.watch(x);
  const Tensor y = conv(x, w);
  EXPECT_EQ(y.shape(), (Shape{2, depth - 1, 4, 4, 3}));
  EXPECT_EQ(tape.gradient(sum(y), x).spec(), x.spec());
  for (const Padding& padding : {Padding::of(1, 0, 0, 0, 0, 0), Padding::of(0, 1, 0, 0, 0, 0)}) {
    expect_error([&] { conv(x, w, {.padding = padding}); }, ErrorId::symbolic_value,
                 {"conv: the depth depth is symbolic, and padded"});
  }
}

TEST(SpatialRefuses, WhatDoesNotFit) {
  const Tensor line = ones({1, 5, 2}), w = ones({3, 2, 2}), volume = ones({1, 2, 2, 2, 1});
  expect_error([&] { conv(ones({5, 2}), w); }, ErrorId::wrong_rank, {"conv: x has rank 2, needed is rank 3, 4 or 5"});
  expect_error([&] { conv(line, ones({3, 2, 2, 2})); }, ErrorId::wrong_rank, {"conv: w has rank 4, needed is rank 3"});
  expect_error([&] { conv(line, w, {.strides = {1, 1}}); }, ErrorId::invalid_attribute, {"strides"});
  expect_error([&] { conv(line, w, {.padding = Padding::of(1, 1, 1, 1)}); }, ErrorId::invalid_attribute, {"padding"});
  expect_error([&] { conv(line, w, {.dilation = {0}}); }, ErrorId::invalid_attribute, {"dilation"});
  expect_error([&] { conv(line, ones({3, 2, 3})); }, ErrorId::inner_dimensions, {"2 channels", "the filter is for 3"});
  expect_error([&] { conv(line, ones({3, 6, 2})); }, ErrorId::invalid_shape, {"a window of 6"});
  expect_error([&] { conv(volume, ones({1, 0, 1, 1, 1})); }, ErrorId::invalid_shape, {"has no planes"});
  expect_error(
      [&] {
        conv(ones({1, 1025, 1, 1, 1}), ones({1, 1025, 1, 1, 1}));
      },
      ErrorId::invalid_attribute, {"1025 planes"});
  expect_error(
      [&] {
        conv2d(ones({1, 4, 4, 1}), ones({1, 2, 2, 1}), {.padding = Padding::of(1, 1)});
      },
      ErrorId::invalid_attribute, {"conv2d: ", "padding"});
  expect_error(
      [&] {
        conv(ones({1, 0, 2}), ones({3, 1, 2}), {.padding = Padding::same()});
      },
      ErrorId::invalid_shape, {"conv: ", "does not fit into an extent of 0"});
  expect_error(
      [&] {
        avg_pool(ones({1, 0, 2}), {.padding = Padding::same()});
      },
      ErrorId::invalid_shape, {"avg_pool: ", "has no elements under a window"});
  expect_error([&] { max_pool(ones({5, 2})); }, ErrorId::wrong_rank, {"max_pool: x has rank 2"});
  expect_error([&] { max_pool(line, {.window = {2, 2}}); }, ErrorId::invalid_attribute, {"max_pool: ", "window"});
  expect_error([&] { avg_pool(volume, {.padding = Padding::of(2, 0, 0, 0, 0, 0)}); }, ErrorId::invalid_attribute,
               {"avg_pool: padding is as large as the window"});
  expect_error([&] { avg_pool(volume, {.window = {1 << 16, 1 << 16, 1}}); }, ErrorId::invalid_attribute, {"i32"});
}

}  // namespace
}  // namespace lockstep
