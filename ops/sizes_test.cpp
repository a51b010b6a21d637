// Sizes that overflow 64 bits, and calls that only look valid: each is refused with its op, line and fix.
#include <gtest/gtest.h>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "lockstep/support.h"
#include "ops/attrs.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

// As in the files of these ops: the calls below are made by hand.
struct CastAttrs {
  std::int64_t to;
};
struct ReduceAttrs {
  IntList axes;
  std::int64_t keep = 0;
};
struct PadAttrs {
  IntList before, after;
};
struct ToDeviceAttrs {
  std::int64_t device;
};

constexpr std::int64_t most = INT64_MAX;
constexpr std::int64_t two_32 = std::int64_t{1} << 32;
constexpr std::int64_t two_62 = std::int64_t{1} << 62;

template <class F>
void expect_error(F&& f, ErrorId id, const std::initializer_list<std::string>& parts) {
  expect_error_saying(f, id, parts, "sizes_test.cpp:", true);
}

// All ops report a size that is too large in the same way.
template <class F>
void expect_too_large(F&& f, const std::initializer_list<std::string>& parts) {
  expect_error(f, ErrorId::invalid_shape, parts);
}

class Sizes : public testing::TestWithParam<std::string> {
 protected:
  Device device_{GetParam()};
  DeviceScope scope_{device_};
};

TEST_P(Sizes, OfPadding) {
  expect_too_large([] { pad(ones({3}), {0}, {most}); }, {"pad: ", "3 + 9223372036854775807", "Tensor f32 (3)"});
  expect_too_large([] { pad(ones({3, 3}), {most, 0}, {most, 0}); }, {"pad: "});
  expect_too_large([] { pad(ones({3}), {most}, {most}); }, {"pad: "});
  expect_too_large([] { pad(ones({1, 1}), {two_32, 0}, {0, two_32}); }, {"pad: ", "more elements"});
  expect_error([] { pad(ones({3}), {0, 0, 0, 0, 0, 0, 0, 0, 0}, {0}); }, ErrorId::invalid_attribute, {"pad: ", "9"});
}

TEST_P(Sizes, OfReshapedTensors) {
  const Tensor three = ones({3});
  expect_too_large([&] { reshape(three, {two_32, -1, two_32}); }, {"reshape: ", "Tensor f32 (3)"});
  expect_too_large([&] { reshape(three, {two_32, two_32}); }, {"reshape: ", "Tensor f32 (3)"});
  expect_too_large([&] { reshape(7.0f, {two_32, -1, two_32}); }, {"reshape: ", "number 7"});
  // Without elements, extents may have a product that 64 bits do not count.
  const Tensor none = zeros({0, two_32});
  expect_too_large(
      [&] {
        flatten(broadcast_to(reshape(none, {0, 1, two_32}), {0, two_32, two_32}));
      },
      {"flatten: ", "Tensor f32 (0, 4294967296, 4294967296)"});
  EXPECT_EQ(flatten(broadcast_to(reshape(none, {1, 1, two_32, 0}), {1, two_32, two_32, 0})).shape(), (Shape{1, 0}));
}

TEST_P(Sizes, OfViews) {
  const Tensor one = ones({});
  expect_too_large([&] { sum(broadcast_to(one, {two_32, two_32})); }, {"broadcast_to: ", "more elements"});
  expect_too_large([&] { broadcast_to(one, {two_62, 2}); }, {"broadcast_to: ", "more elements"});
  expect_error([&] { broadcast_to(one, {two_62}); }, ErrorId::impossible_size, {"broadcast_to: ", "more bytes"});
  // A view whose size fits 63 bits is like any other, and parts of it can be read.
  const Tensor wide = broadcast_to(one, {two_32, std::int64_t{1} << 28});
  EXPECT_EQ(wide.size(), std::int64_t{1} << 60);
  EXPECT_EQ(select_index(select_index(wide, 0, -1), 0, 5).item<float>(), 1);
  EXPECT_EQ(slice(wide, {{0, 7, 9}, {1, -2}}).to_vector<float>(), (std::vector<float>{1, 1, 1, 1}));
  // More than 2^32 elements: the result is right, or a device that needs a dense copy refuses the call.
  const std::int64_t two_33 = std::int64_t{1} << 33;
  const Tensor sevens = broadcast_to(Tensor({7.0f}), {two_33});
  try {
    const Tensor some = gather(sevens, Tensor({std::int64_t{0}, two_33 - 1, two_32}));
    EXPECT_EQ(some.to_vector<float>(), (std::vector<float>{7, 7, 7}));
  } catch (const OutOfMemoryError& e) {
    EXPECT_EQ(e.id(), ErrorId::impossible_size) << e.what();
  }
  EXPECT_THROW(gather(sevens, Tensor({two_33})).to_vector<float>(), Error);
  expect_too_large([&] { concat({wide, wide, wide, wide, wide, wide, wide, wide}); }, {"concat: ", "more"});
  expect_error([&] { wide.to_vector<float>(); }, ErrorId::impossible_size, {"to_vector"});
}

TEST_P(Sizes, OfReshapes) {
  const Tensor x = ones({6});
  expect_too_large([&] { reshape(x, {two_32, two_32}); }, {"reshape: ", "4294967296 * 4294967296"});
  expect_too_large([&] { reshape(x, {two_32, two_32, -1}); }, {"4294967296 * 4294967296"});
  expect_error([&] { reshape(x, {two_32, two_32, 0}); }, ErrorId::element_count, {"reshape: "});
  expect_too_large([&] { reshape(x, {1, 1, 1, 1, 1, 1, 1, 1, -1}); }, {"reshape: rank 9"});
  expect_too_large([] { reshape(zeros({0, 3}), {0, -1}); }, {"reshape: ", "-1 is not determined"});
  expect_too_large([&] { reshape(x, {-1, 0}); }, {"reshape: ", "-1 is not determined"});
  EXPECT_EQ(reshape(zeros({0, 3}), {-1, 3}).shape(), (Shape{0, 3}));
  EXPECT_EQ(reshape(zeros({0, 3}), Ints{-1}).shape(), (Shape{0}));
}

TEST_P(Sizes, OfOpsThatMakeTensors) {
  expect_too_large([] { one_hot(Tensor({1, 2}), most); }, {"one_hot: ", "more elements"});
  expect_error([] { arange(most); }, ErrorId::impossible_size, {"arange: "});
  expect_error([] { arange(most, f32); }, ErrorId::impossible_size, {"arange: "});
  expect_error([] { random_uniform({most}); }, ErrorId::impossible_size, {"random_uniform: "});
  expect_too_large([] { random_normal({two_32, two_32}); }, {"random_normal: "});
  expect_error([] { random_permutation(-1); }, ErrorId::invalid_attribute, {"random_permutation: n is -1"});
  expect_error([] { random_permutation(most); }, ErrorId::impossible_size, {"random_permutation: "});
  expect_too_large([] { scatter_add(ones({1, 2}), Tensor({0}), most); }, {"scatter_add: "});
  expect_too_large([] { Tensor::abstract({f32, {two_32, two_32}}); }, {"abstract: "});
  const std::vector<float> few = {1, 2};
  expect_too_large([&] { Tensor(few, {two_32, two_32}); }, {"4294967296 * 4294967296"});
  expect_too_large([&] { Tensor::from_bytes(few.data(), 8, {f32, {two_32, two_32}}); }, {"4294967296"});
}

TEST_P(Sizes, OfWindows) {
  const Tensor x = ones({1, 4, 4, 1}), w = ones({1, 1, 1, 1});
  const ErrorId attribute = ErrorId::invalid_attribute;
  for (std::int64_t v : {most, two_32, INT64_MIN}) {
    expect_error([&] { conv2d(x, w, {.strides = {v, 1}}); }, attribute, {"conv2d: ", "stride"});
    expect_error([&] { conv2d(x, w, {.dilation = {1, v}}); }, attribute, {"conv2d: ", "dilation"});
    expect_error([&] { conv2d(x, w, {.padding = Padding::of(v, 0, 0, 0)}); }, attribute, {"conv2d: "});
    expect_error([&] { max_pool2d(x, {.window = {v, 2}}); }, attribute, {"max_pool2d: ", "window"});
    expect_error([&] { avg_pool2d(x, {.window = {2, v}, .padding = Padding::same()}); }, attribute, {"avg_pool2d: "});
    expect_error([&] { max_pool2d(x, {.strides = Pair{v, 2}}); }, attribute, {"max_pool2d: "});
  }
  expect_error([&] { conv2d(x, w, {.groups = most}); }, ErrorId::inner_dimensions, {"conv2d: "});
  expect_error(
      [&] {
        max_pool2d(ones({1, 1, 1, 1}), {.window = {1 << 16, 1 << 16}, .padding = Padding::same()});
      },
      attribute, {"max_pool2d: ", "i32"});
  expect_error([&] { max_pool2d(x, {.window = {0, 0}}); }, attribute, {"max_pool2d: a window has the extent 0"});
  expect_error([&] { avg_pool2d(x, {.window = {2, 0}}); }, attribute, {"avg_pool2d: a window has the extent 0"});
  // On no side may a window lie in the padding alone.
  for (const Padding& padding :
       {Padding::of(2, 0, 0, 0), Padding::of(0, 2, 0, 0), Padding::of(0, 0, 2, 0), Padding::of(0, 0, 0, 2)}) {
    expect_error([&] { max_pool2d(x, {.padding = padding}); }, attribute,
                 {"max_pool2d: padding is as large as the window"});
    expect_error([&] { avg_pool2d(x, {.padding = padding}); }, attribute,
                 {"avg_pool2d: padding is as large as the window"});
  }
  // Nor if the image has no elements.
  for (const Shape& none : {Shape{1, 0, 4, 1}, Shape{1, 4, 0, 1}}) {
    const Pool2d padded{.window = {2, 2}, .strides = Pair{1, 1}, .padding = Padding::of(1, 1, 1, 1)};
    expect_error([&] { max_pool2d(zeros(none), padded); }, ErrorId::invalid_shape, {"max_pool2d: ", "no elements"});
    expect_error([&] { avg_pool2d(zeros(none), padded); }, ErrorId::invalid_shape, {"avg_pool2d: ", "no elements"});
  }
  EXPECT_EQ(max_pool2d(zeros({0, 4, 4, 1})).shape(), (Shape{0, 2, 2, 1}));
  EXPECT_EQ(avg_pool2d(zeros({1, 4, 4, 0})).shape(), (Shape{1, 2, 2, 0}));
  expect_too_large([&] { conv2d(x, ones({1, 0, 3, 1})); }, {"conv2d: the filter (1, 0, 3, 1) has no rows"});
  expect_too_large([&] { conv2d(x, ones({1, 3, 0, 1}), {.padding = Padding::same()}); }, {"has no columns"});
  // Very large strides, with every window still inside the image.
  EXPECT_EQ(conv2d(x, w, {.strides = {INT32_MAX, INT32_MAX}}).shape(), (Shape{1, 1, 1, 1}));
  const Tensor far = Tensor::abstract({f16, {0, most, 1, 1}});
  expect_too_large(
      [&] {
        max_pool2d(far, {.window = {2, 1}, .strides = Pair{3, 1}, .padding = Padding::same()});
      },
      {"9223372036854775807 + 2"});
}

TEST_P(Sizes, OfSlices) {
  const Tensor x = arange(10);
  EXPECT_EQ(slice(x, {{0, 0, most, most}}).to_vector<std::int64_t>(), (std::vector<std::int64_t>{0}));
  EXPECT_EQ(slice(x, {{0, INT64_MIN, most, 1}}).size(), 10);
  EXPECT_EQ(slice(x, {{0, most, INT64_MIN, INT64_MIN}}).to_vector<std::int64_t>(), (std::vector<std::int64_t>{9}));
  const Tensor matrix = ones({4, 4});
  expect_error(
      [&] {
        slice(matrix, {{0, 0, 2}, {0, 1, 3}});
      },
      ErrorId::axis_out_of_range, {"slice: axis 0 is given twice", "Tensor f32 (4, 4)"});
  expect_error([&] { slice(matrix, {{1, 0, 2}, {-1, 1, 3}}); }, ErrorId::axis_out_of_range, {"axis 1 is given twice"});
}

TEST_P(Sizes, OfAxes) {
  const Tensor x = ones({2, 2});
  const ErrorId axis = ErrorId::axis_out_of_range;
  expect_error(
      [&] { expand_dims(x, 3); }, axis,
      {"expand_dims: a tensor of rank 2 takes no new dimension at axis 3", "axes -3 to 2", "Tensor f32 (2, 2)"});
  expect_error([&] { expand_dims(x, INT64_MIN); }, axis, {"expand_dims: "});
  expect_too_large([] { expand_dims(ones({1, 1, 1, 1, 1, 1, 1, 1}), 0); }, {"expand_dims: rank 9"});
  expect_error([&] { squeeze(x, 2); }, axis, {"squeeze: axis 2 is outside a tensor of rank 2"});
  struct Reduction {
    std::string op;
    Tensor (*call)(Operand, Reduce);
  };
  for (const Reduction& r :
       {Reduction{"sum: ", &sum}, Reduction{"mean: ", &mean}, Reduction{"max: ", &max}, Reduction{"min: ", &min}}) {
    expect_error([&] { r.call(x, {.axes = {0, 1, 2, 3, 4, 5, 6, 7, 8}}); }, axis, {r.op, "9 numbers", "f32 (2, 2)"});
    expect_error([&] { r.call(x, {.axes = {2}}); }, axis, {r.op + "axis 2", "f32 (2, 2)"});
    expect_error([&] { r.call(x, {.axes = {0, -2}}); }, axis, {r.op + "axis 0 is given twice", "f32 (2, 2)"});
  }
  expect_error([&] { transpose(x, {0, 1, 2, 3, 4, 5, 6, 7, 8}); }, axis, {"transpose: ", "9 numbers"});
  expect_error([&] { argmax(x, most); }, axis, {"argmax: axis 9223372036854775807"});
  expect_error([&] { softmax(x, INT64_MIN); }, axis, {"softmax: "});
  expect_error([&] { log_softmax(x, 2); }, axis, {"log_softmax: "});
  expect_error([&] { gather(x, Tensor({0}), 2); }, axis, {"gather: "});
  expect_error([&] { scatter_add(x, Tensor({0, 1}), 3, 2); }, axis, {"scatter_add: "});
  expect_error([&] { concat({x, x}, 2); }, axis, {"concat: "});
  EXPECT_THROW(x.shape().dim(2), ShapeError);
  EXPECT_THROW(x.shape()[-3], ShapeError);
  expect_error([&] { global_max_pool2d(ones({2, 3, 4})); }, ErrorId::wrong_rank, {"global_max_pool2d: ", "rank 3"});
  expect_error([&] { global_avg_pool2d(ones({2, 3, 4, 5, 6})); }, ErrorId::wrong_rank, {"global_avg_pool2d: "});
  EXPECT_EQ(global_avg_pool2d(ones({2, 3, 4, 5})).shape(), (Shape{2, 5}));
}

// An empty tensor may have any other extents. It has no elements, and kernels never compute with these extents.
TEST_P(Sizes, OfEmptyTensors) {
  const Tensor x = zeros({two_62, 0, two_62});
  EXPECT_EQ(x.size(), 0);
  EXPECT_TRUE(transpose(x).to_vector<float>().empty());
  EXPECT_EQ(slice(x, {{0, 3, most, most - 5}}).size(), 0);
  EXPECT_EQ((x + x).shape(), x.shape());
  EXPECT_EQ(reshape(transpose(x), {0, 5}).size(), 0);
  EXPECT_EQ(sum(x, {.axes = {0}}).shape(), (Shape{0, two_62}));
  expect_too_large([&] { sum(x); }, {"sum: ", "besides 0"});
  EXPECT_EQ(sum(zeros({std::int64_t{1} << 40, 0})).item<float>(), 0);
  // An extent of 0 counts before the product of the others, which 64 bits do not hold.
  for (const Shape& shape : {Shape{two_62, two_62, 0}, Shape{0, two_62, two_62}}) {
    const Tensor far = zeros(shape);
    expect_too_large([&] { mean(far); }, {"mean: there are no elements to average"});
    expect_too_large([&] { max(far); }, {"max: there is nothing to choose from"});
    expect_too_large([&] { min(far); }, {"min: there is nothing to choose from"});
  }
}

TEST_P(Sizes, DTypesThatAreNone) {
  const auto none = static_cast<DType>(42);
  const Tensor x = ones({2});
  const ErrorId id = ErrorId::unknown_dtype;
  expect_error([&] { cast(x, none); }, id, {"cast: 42 is not a dtype", "Tensor f32 (2)"});
  expect_error([&] { cast(2.5, none); }, id, {"cast: 42 is not a dtype"});
  expect_error([&] { full({2}, 1, none); }, id, {"full: 42 is not a dtype"});
  expect_error([&] { arange(3, none); }, id, {"arange: 42 is not a dtype"});
  expect_error([&] { one_hot(Tensor({1}), 3, none); }, id, {"one_hot: 42 is not a dtype"});
  expect_error([&] { random_normal({2}, 0, 1, {.dtype = none}); }, id, {"random_normal: 42 is not a dtype"});
  expect_error([&] { random_bits({2}, none); }, id, {"random_bits: 42 is not a dtype"});
  expect_error([&] { Tensor::abstract({none, {2}}); }, id, {"42 is not a dtype"});
  expect_error([&] { Tensor::from_bytes("12345678", 8, {none, {2}}); }, id, {"42 is not a dtype"});
  EXPECT_THROW(size_of(none), DTypeError);
  EXPECT_THROW(op_support(device_, none), DTypeError);
  EXPECT_EQ(name_of(none), "no dtype");
  EXPECT_FALSE(types::any.has(none));
}

// Calls that bypass the public functions, which complete and check attributes.
TEST_P(Sizes, CallsMadeByHand) {
  const Tensor x = ones({2, 3});
  const auto call = [&](const char* op, const void* attrs, std::span<const Scalar> scalars = {}) {
    const Operand operand(x);
    return invoke1(*find_op(op), std::span(&operand, 1), attrs, scalars);
  };
  const ErrorId attribute = ErrorId::invalid_attribute;
  expect_error([&] { call("softmax", nullptr); }, attribute, {"softmax: its attributes are not given"});
  AxisAttrs axis{-1};
  expect_error([&] { call("softmax", &axis); }, ErrorId::axis_out_of_range, {"softmax: axis -1 is negative"});
  ReduceAttrs reduce;
  reduce.axes.count = most;
  expect_error([&] { call("sum", &reduce); }, attribute, {"sum: axes has 9223372036854775807 numbers"});
  reduce.axes = {1, 0};
  for (const char* op : {"sum", "mean", "max", "min"}) {
    expect_error([&] { call(op, &reduce); }, attribute,
                 {op + std::string(": axis 0 comes after axis 1, and axes must be ascending")});
  }
  reduce.axes = {1, 1};
  expect_error([&] { call("sum", &reduce); }, ErrorId::axis_out_of_range, {"sum: axis 1 is given twice"});
  ShapeAttrs shape{{-7, 3}};
  expect_error([&] { call("reshape", &shape); }, ErrorId::invalid_shape, {"reshape: extent -7 is negative"});
  SliceAttrs slice{{0}, {1}, {1}};
  expect_error([&] { call("slice", &slice); }, attribute, {"slice: 1 numbers are given as starts"});
  PadAttrs pad{{0, 0}, {0, 0}};
  expect_error([&] { call("pad", &pad); }, attribute, {"pad: 0 numbers of its own"});
  CastAttrs cast{256};  // its low eight bits are 0
  expect_error([&] { call("cast", &cast); }, ErrorId::unknown_dtype, {"cast: 256 is not a dtype"});
  ToDeviceAttrs device{1000};
  expect_error([&] { call("to_device", &device); }, ErrorId::unknown_device, {"to_device: "});
}

const auto every_device = testing::ValuesIn(available_devices());

INSTANTIATE_TEST_SUITE_P(Devices, Sizes, every_device, &by_device);

TEST(Enums, NumbersThatTheyDoNotHaveAreRefused) {
  const ErrorId id = ErrorId::invalid_attribute;
  expect_error([] { MathModeScope scope(static_cast<MathMode>(42)); }, id, {"42 is not a valid math mode"});
  expect_error([] { MemoryOwnerScope scope(static_cast<MemoryOwner>(7)); }, id, {"7 is not a valid owner of memory"});
  EXPECT_EQ(name_of(static_cast<MathMode>(42)), "no math mode");
  EXPECT_EQ(name_of(static_cast<MemoryOwner>(42)), "nobody");
  EXPECT_EQ(math_mode(), MathMode::strict);
  const Tensor x = ones({2});
  expect_error(
      [&] {
        GradientTape tape;
        tape.watch(x);
        tape.gradient(sum(x), x, {.unconnected = static_cast<Unconnected>(9)});
      },
      id, {"gradient: 9 is no"});
  EXPECT_THROW(data::fashion_mnist(static_cast<data::Split>(3)), ShapeError);
  nn::Model model(nn::Sequential(nn::Dense{.units = 1}));
  model.build({2});
  model.compile({.optimizer = optim::Sgd{}, .loss = losses::MeanSquaredError{}});
  const data::Dataset data = data::Dataset::from_tensors(ones({4, 2}), ones({4, 1}));
  expect_error([&] { model.fit(data, {.verbose = static_cast<nn::Verbose>(7)}); }, id,
               {"fit: 7 is not a valid way to show progress"});
  nn::Initializer odd = nn::Initializer::zeros();
  odd.kind = static_cast<nn::Initializer::Kind>(77);
  EXPECT_THROW(odd.make({2}, f32, 1, 1), ShapeError);
  odd = nn::Initializer::he_normal();
  odd.fan = static_cast<nn::Initializer::Fan>(77);
  EXPECT_THROW(odd.make({2}, f32, 1, 1), ShapeError);
}

class GradientErrors : public Sizes {};

INSTANTIATE_TEST_SUITE_P(Devices, GradientErrors, every_device, &by_device);

TEST_P(GradientErrors, OfUpstreamsOfAnotherDtypeOrShape) {
  const Tensor x = ones({2});
  GradientTape tape({.persistent = true});
  tape.watch(x);
  const Tensor y = x * 2.0;
  expect_error([&] { tape.gradient(y, x, {.upstream = ones({2}, f64)}); }, ErrorId::dtypes_differ,
               {"gradient: ", "differ in dtype", "cast(upstream, lockstep::f32)"});
  expect_error([&] { tape.gradient(y, x, {.upstream = ones({3})}); }, ErrorId::shapes_differ,
               {"gradient: ", "differ in shape"});
}

TEST(Errors, NesterovNeedsMomentum) {
  expect_error([] { optim::Optimizer sgd{optim::Sgd{.nesterov = true}}; }, ErrorId::invalid_attribute,
               {"Sgd: nesterov is set and momentum is 0"});
}

}  // namespace
}  // namespace lockstep
