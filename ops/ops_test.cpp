// What op calls guarantee beyond their values: errors, dtypes, views, caching. Ops of the user: user_ops_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "lockstep/lockstep.h"
#include "lockstep/support.h"
#include "lockstep/testing.h"
#include "ops/differentiate.h"
#include "runtime/device_state.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Errors, HaveFourPartsInOrder) {
  const Tensor a = zeros({32, 512});
  const Variable b(zeros({768, 10}), "dense_2/kernel");
  NameScope model("model");
  NameScope layer("dense_2");
  const std::string text = message_of([&] { matmul(a, b); });
  const char* parts[] = {"ShapeError[LS2003] matmul: inner dimensions differ, 512 and 768\n",
                         "  a      Tensor f32 (32, 512) ",
                         "output of full\n",
                         "  b      Variable \"dense_2/kernel\" f32 (768, 10) ",
                         "  where  model/dense_2, called at ops_test.cpp:",
                         "  fix    "};
  std::size_t at = 0;
  for (const char* part : parts) {
    at = text.find(part, at);
    ASSERT_NE(at, std::string::npos) << part << " is missing, or out of order, in\n" << text;
  }
}

TEST(Errors, OperatorsKnowTheirLine) {
  const Tensor a = zeros({3}), b = zeros({4});
  const int line = __LINE__ + 1;
  const std::string text = message_of([&] { a + b; });
  EXPECT_NE(text.find("ops_test.cpp:" + std::to_string(line)), std::string::npos) << text;
}

TEST(Broadcasting, MutualExpansionAcrossRanksIsRefused) {
  const Tensor column = zeros({5, 1}), row = zeros({5});
  EXPECT_NE(message_of([&] { column - row; }).find("LS2002"), std::string::npos);
  EXPECT_EQ((column + zeros({1, 3})).shape(), (Shape{5, 3}));  // same rank: allowed
  EXPECT_EQ((zeros({5, 3}) + zeros({3})).shape(), (Shape{5, 3}));
  EXPECT_EQ((row + 1.0f).shape(), (Shape{5}));
  // A tensor of rank 0 is expanded whatever the others are.
  EXPECT_EQ(where(greater(zeros({}), 1), row, zeros({3, 5})).shape(), (Shape{3, 5}));
  EXPECT_EQ(clip(zeros({3, 5}), row, zeros({})).shape(), (Shape{3, 5}));
}

TEST(Broadcasting, ToAShapeFollowsTheSameRule) {
  const Dim n = Dim::symbol("n");
  const auto shape_of = [](const Shape& from, const Shape& to) {
    return broadcast_to(Tensor::abstract({f32, from}), to).shape();
  };
  EXPECT_EQ(shape_of({}, {2, n}), (Shape{2, n}));
  EXPECT_EQ(shape_of({n, 1}, {n, 4}), (Shape{n, 4}));
  EXPECT_EQ(shape_of({3}, {5, n}), (Shape{5, n})) << "n may be 3";
  EXPECT_EQ(shape_of({n}, {1}), (Shape{1})) << "n may be 1";
  for (const auto& [from, to] : {std::pair{Shape{3}, Shape{1}},
                                 {Shape{3}, Shape{4}},
                                 {Shape{2, 3}, Shape{3}},
                                 {Shape{1, 3}, Shape{3}},
                                 {Shape{3, n}, Shape{4, n}}}) {
    EXPECT_THROW(shape_of(from, to), ShapeError) << from << " to " << to;
  }
}

TEST(Dtypes, NothingIsPromotedSilently) {
  const std::string text = message_of([] { zeros({2}) + zeros({2}, f64); });
  EXPECT_NE(text.find("DTypeError[LS2101]"), std::string::npos) << text;
  EXPECT_NE(text.find("cast(b, lockstep::f32)"), std::string::npos) << text;
  EXPECT_NE(message_of([] { exp(zeros({2}, i32)); }).find("cast(x, lockstep::f32)"), std::string::npos);
}

TEST(Dtypes, NumbersAreWeak) {
  EXPECT_EQ((zeros({2}, f64) + 1).dtype(), f64);
  EXPECT_EQ((zeros({2}, i32) + 1).dtype(), i32);
  EXPECT_EQ((zeros({2}, f32) * 0.1).dtype(), f32);
  const Tensor halves = Tensor({1, 2, 3}) * 0.5;  // a floating number makes integers f32
  EXPECT_EQ(halves.dtype(), f32);
  EXPECT_EQ(halves.to_vector<float>(), (std::vector<float>{0.5f, 1.0f, 1.5f}));
}

TEST(Dtypes, IntegersWrapAndDivideTowardZero) {
  EXPECT_EQ((Tensor({2147483647}) + 1).to_vector<std::int32_t>()[0], -2147483647 - 1);
  EXPECT_EQ((Tensor({-7, 7, 5}) / Tensor({2, -2, 0})).to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{-3, -3, 0}));
  EXPECT_EQ((Tensor({-2147483647 - 1}) / -1).to_vector<std::int32_t>()[0], -2147483647 - 1);
}

TEST(Dtypes, CastsSaturate) {
  const Tensor x({1e20f, -1e20f, NAN, -1.9f, 300.0f});
  EXPECT_EQ(cast(x, i32).to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{2147483647, -2147483647 - 1, 0, -1, 300}));
  EXPECT_EQ(cast(x, u8).to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{255, 0, 0, 0, 255}));
}

TEST(Views, ReshapeOfATransposeCopiesOnlyWhereItMust) {
  const Tensor x = reshape(arange(12, f32), {3, 4});
  EXPECT_EQ(reshape(transpose(x), {2, 6}).to_vector<float>(),
            (std::vector<float>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
  EXPECT_EQ(reshape(slice(x, {{1, 0, 2}}), {6}).to_vector<float>(), (std::vector<float>{0, 1, 4, 5, 8, 9}));
  EXPECT_EQ(reshape(x, {-1, 2}).shape(), (Shape{6, 2}));
  EXPECT_THROW(reshape(x, {5, -1}), ShapeError);
  const int line = __LINE__ + 1;
  const std::string text = message_of([&] { reshape(x, {-1, -1}); });
  EXPECT_NE(text.find("reshape: two extents are -1"), std::string::npos) << text;
  EXPECT_NE(text.find("ops_test.cpp:" + std::to_string(line)), std::string::npos) << text;
}

TEST(Views, SlicesFollowPython) {
  const Tensor x = arange(10);
  const auto ints = [](const Tensor& t) { return t.to_vector<std::int64_t>(); };
  EXPECT_EQ(ints(slice(x, {{0, -3}})), (std::vector<std::int64_t>{7, 8, 9}));
  EXPECT_EQ(ints(slice(x, {{0, 8, 2, -2}})), (std::vector<std::int64_t>{8, 6, 4}));
  EXPECT_EQ(ints(slice(x, {Slice{.axis = 0, .start = -1, .step = -4}})), (std::vector<std::int64_t>{9, 5, 1}));
  EXPECT_EQ(slice(x, {{0, 5, 5}}).size(), 0);
  EXPECT_EQ(ints(slice(x, {{0, -100, 100, 5}})), (std::vector<std::int64_t>{0, 5}));
  EXPECT_THROW(slice(x, {{0, 0, 5, 0}}), ShapeError);
  EXPECT_THROW(slice(x, {{1, 0, 5}}), ShapeError);
}

TEST(Matmul, BatchesBroadcastAndTransposesAreViews) {
  const Tensor a = random_normal({2, 1, 3, 4}), b = random_normal({5, 4, 6});
  EXPECT_EQ(matmul(a, b).shape(), (Shape{2, 5, 3, 6}));
  const Tensor w = random_normal({6, 4});
  EXPECT_EQ(matmul(a, w, {.transpose_b = true}).shape(), (Shape{2, 1, 3, 6}));
  EXPECT_EQ(matmul(random_normal({4, 3}), random_normal({4, 5}), {.transpose_a = true}).shape(), (Shape{3, 5}));
}

TEST(Conv2d, SamePaddingKeepsTheExtentAtStrideOne) {
  const Tensor x = random_normal({1, 7, 9, 2}), w = random_normal({4, 3, 3, 2});
  EXPECT_EQ(conv2d(x, w, {.padding = Padding::same()}).shape(), (Shape{1, 7, 9, 4}));
  EXPECT_EQ(conv2d(x, w, {.strides = {2, 2}, .padding = Padding::same()}).shape(), (Shape{1, 4, 5, 4}));
  EXPECT_EQ(conv2d(x, w, {.padding = Padding::same(), .dilation = {2, 2}}).shape(), (Shape{1, 7, 9, 4}));
  EXPECT_THROW(conv2d(x, w, {.strides = {0, 1}}), ShapeError);
  EXPECT_THROW(conv2d(x, random_normal({4, 3, 3, 3})), ShapeError);
  EXPECT_THROW(conv2d(x, w, {.groups = 0}), ShapeError);
}

TEST(Relu, IsZeroWithoutASignUpToZeroAndHasNoSlopeThere) {
  for (const DeviceInfo& device : devices()) {
    if (!device.available) continue;
    const DeviceScope scope(Device(device.id));
    const Tensor x({-0.0f, 0.0f, -2.0f, 2.0f});
    GradientTape tape;
    tape.watch(x);
    const Tensor y = relu(x);
    const std::vector<float> values = y.to_vector<float>(), slopes = tape.gradient(sum(y), x).to_vector<float>();
    EXPECT_EQ(values, (std::vector<float>{0, 0, 0, 2})) << device.id;
    for (float v : values) EXPECT_FALSE(std::signbit(v)) << device.id;
    EXPECT_EQ(slopes, (std::vector<float>{0, 0, 0, 1})) << device.id;
  }
}

TEST(CrossEntropy, LabelsOutsideGiveNan) {
  const Tensor loss = sparse_cross_entropy(zeros({3, 4}), Tensor({0, 4, -1}));
  const std::vector<float> values = loss.to_vector<float>();
  EXPECT_NEAR(values[0], std::log(4.0f), 1e-6f);
  EXPECT_TRUE(std::isnan(values[1]));
  EXPECT_TRUE(std::isnan(values[2]));
}

TEST(Random, IsAFunctionOfKeyAndIndex) {
  const RandomKey key{7, 9};
  const std::vector<float> a = random_normal({1000}, 0, 1, {.key = key}).to_vector<float>();
  EXPECT_EQ(a, random_normal({1000}, 0, 1, {.key = key}).to_vector<float>());
  const std::vector<float> shorter = random_normal({10, 10}, 0, 1, {.key = key}).to_vector<float>();
  EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), a.begin()));
  set_seed(4);
  const Tensor first = random_uniform({4}), second = random_uniform({4});
  EXPECT_NE(first.to_vector<float>(), second.to_vector<float>());
  set_seed(4);
  EXPECT_EQ(random_uniform({4}).to_vector<float>(), first.to_vector<float>());
}

TEST(Random, HasTheRightMoments) {
  const auto moments = [](const Tensor& t) {
    const double mean_value = static_cast<double>(mean(t).item<float>());
    return std::pair(mean_value, static_cast<double>(mean(square(t - static_cast<float>(mean_value))).item<float>()));
  };
  const Shape shape{100'000};
  const auto [um, uv] = moments(random_uniform(shape, -1, 3, {.key = RandomKey{1, 1}}));
  EXPECT_NEAR(um, 1, 0.02);
  EXPECT_NEAR(uv, 16.0 / 12, 0.02);
  const auto [nm, nv] = moments(random_normal(shape, 2, 3, {.key = RandomKey{1, 2}}));
  EXPECT_NEAR(nm, 2, 0.05);
  EXPECT_NEAR(nv, 9, 0.15);
  const Tensor truncated = random_truncated_normal(shape, 0, 1, {.key = RandomKey{1, 3}});
  EXPECT_LE(max(abs(truncated)).item<float>(), 2.0f);
  EXPECT_NEAR(moments(truncated).second, 0.7737, 0.01);  // variance of a normal cut at two standard deviations
  const Tensor kept = dropout(ones(shape), 0.25, RandomKey{1, 4});
  EXPECT_NEAR(mean(kept).item<float>(), 1, 0.01);
  EXPECT_NEAR(mean(cast(equal(kept, 0), f32)).item<float>(), 0.25f, 0.01f);
}

TEST(Random, PermutationsArePermutations) {
  std::vector<std::int64_t> order = random_permutation(5000, RandomKey{3, 3}).to_vector<std::int64_t>();
  EXPECT_NE(order[0] * 5000 + order[1], 1);
  std::sort(order.begin(), order.end());
  for (std::int64_t i = 0; i < 5000; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

// ---------------------------------------------------------------------------------------------------- abstract tensors

TEST(AbstractTensors, OpsInferShapesWithSymbolicExtents) {
  const Dim batch = Dim::symbol("batch");
  const Tensor x = Tensor::abstract({f32, {batch, 28, 28, 1}});
  const Tensor y = relu(conv2d(x, zeros({8, 3, 3, 1})));
  EXPECT_EQ(y.shape(), (Shape{batch, 26, 26, 8}));
  EXPECT_EQ(flatten(max_pool2d(y)).shape(), (Shape{batch, 13 * 13 * 8}));
  EXPECT_EQ(sum(y, {.axes = {1, 2, 3}}).shape(), (Shape{batch}));
  EXPECT_THROW(y.to_vector<float>(), TraceError);
  EXPECT_THROW(matmul(flatten(y), zeros({7, 2})), ShapeError) << "what is known is checked";
}

TEST(AbstractTensors, PositionsFromTheFrontNeedNoExtent) {
  const Dim n = Dim::symbol("n");
  const Tensor x = Tensor::abstract({f32, {n, 3}});
  EXPECT_EQ(select_index(x, 0, 0).shape(), (Shape{3}));
  EXPECT_EQ(select_index(x, 0, 70).shape(), (Shape{3}));
  EXPECT_EQ(select_index(x, 1, -1).shape(), (Shape{n}));
  EXPECT_EQ(slice(x, {Slice{.axis = 0}, Slice{.axis = 1, .start = 1}}).shape(), (Shape{n, 2}));
  expect_error_saying([&] { select_index(x, 1, 3); }, ErrorId::index_out_of_range, {"index 3 is outside axis 1"},
                      "ops_test.cpp:");
  EXPECT_THROW(select_index(x, 0, -1), TraceError) << "n - 1 is not known";
  EXPECT_THROW(slice(x, {Slice{.axis = 0, .stop = 2}}), TraceError) << "the smaller of n and 2 is not known";
  GradientTape tape;
  tape.watch(x);
  EXPECT_EQ(tape.gradient(sum(select_index(x, 0, 0)), x).shape(), (Shape{n, 3}));
}

TEST(AbstractTensors, OfTwoExtentsTheKnownOneIsTheResults) {
  const Dim batch = Dim::symbol("batch");
  const Tensor some = Tensor::abstract({f32, {batch, 3}}), four = zeros({4, 3});
  EXPECT_EQ((some + four).shape(), (Shape{4, 3}));
  EXPECT_EQ((four + some).shape(), (Shape{4, 3}));
  EXPECT_EQ((some + some).shape(), (Shape{batch, 3}));
}

// ------------------------------------------------------------------------------------------------------------- caching

TEST(KernelCache, PreparesOncePerKindOfCall) {
  const Device device("reference");
  const DeviceScope scope(device);
  KernelCache& cache = device.state().kernels();
  Tensor x = ones({4, 4});
  x = x * 2.0f + 1.0f;
  const std::uint64_t prepared = cache.counters.prepares;
  for (int i = 1; i < 50; ++i)
    x = ones({i, 3}) * static_cast<float>(i) + 1.0f;  // other shapes and numbers: nothing new is prepared
  EXPECT_EQ(cache.counters.prepares, prepared);
}

TEST(KernelCache, SteadyTrainingPreparesAndComposesNothingNew) {
  const Device device("reference");
  nn::Model model = zoo::mlp();
  model.build({6, 6, 1}, device);
  model.compile({.optimizer = optim::Adam{}, .loss = losses::SparseCategoricalCrossentropy{}});
  const DeviceScope scope(device);
  const data::Batch batch{ones({4, 6, 6, 1}), zeros({4}, i32)};
  for (int i = 0; i < 2; ++i) model.train_step(batch);
  const std::uint64_t prepared = device.state().kernels().counters.prepares;
  for (int i = 0; i < 3; ++i) model.train_step(batch);
  EXPECT_EQ(device.state().kernels().counters.prepares, prepared);
}

TEST(Support, EveryOpRunsOnEveryDevice) {
  for (const DeviceInfo& device : devices()) {
    if (!device.available) continue;
    for (const OpSupport& s : op_support(Device(device.id))) {
      if (s.op->name.starts_with("test::")) continue;
      EXPECT_NE(s.kind, OpSupport::Kind::missing) << device.id << " " << s.op->name << ": " << s.text;
    }
  }
}

TEST(Support, InADtypeIsThatOfTheOpsThatTakeIt) {
  const auto lists = [](DType dtype, const std::string& name) {
    const std::vector<OpSupport> all = op_support(Device("reference"), dtype);
    return std::any_of(all.begin(), all.end(), [&](const OpSupport& s) { return s.op->name == name; });
  };
  EXPECT_TRUE(lists(bf16, "exp"));
  EXPECT_FALSE(lists(bf16, "argsort"));
  EXPECT_TRUE(lists(i64, "argsort"));
  EXPECT_FALSE(lists(i64, "exp"));
}

template <class F>
void expect_error(F&& f, ErrorId id, const std::initializer_list<std::string>& parts) {
  expect_error_saying(f, id, parts, "ops_test.cpp:");
}

TEST(Numbers, IntegersThatDoNotFitAreRefused) {
  const Tensor bytes = cast(Tensor({200, 10}), DType::u8), wide = Tensor({std::int64_t{0}, std::int64_t{1}});
  const ErrorId id = ErrorId::invalid_attribute;
  expect_error([&] { bytes < 300; }, id, {"less", "number 300", "u8, 0 to 255", "cast(a, lockstep::i64)"});
  expect_error([&] { bytes > -1; }, id, {"greater", "number -1"});
  expect_error([] { less(cast(Tensor({100}), DType::i8), 200); }, id, {"i8, -128 to 127"});
  expect_error([] { equal(Tensor({0, 1}), 1LL << 32); }, id, {"number 4294967296", "i32"});
  expect_error([&] { wide + 18446744073709551615ull; }, id, {"number 18446744073709551615", "i64", "f64"});
  expect_error([] { full({2}, 300, DType::u8); }, id, {"full", "use a dtype that holds it"});
  expect_error([&] { pad(bytes, {1}, {1}, 256); }, id, {"pad", "256"});
  EXPECT_EQ((bytes < 255).to_bools(), (std::vector<std::uint8_t>{1, 1}));
  EXPECT_EQ((wide + INT64_MAX).to_vector<std::int64_t>()[0], INT64_MAX);
  EXPECT_EQ(full({1}, INT64_MAX - 1, DType::i64).item<std::int64_t>(), INT64_MAX - 1) << "by no detour over double";
}

TEST(Numbers, LargeUnsignedOnesAreRoundedOnce) {
  EXPECT_EQ((Tensor({1.0f}) * 18446744073709551615ull).item<float>(), 0x1p64f);
  // So little above the midpoint of two floats that the nearest double is the midpoint.
  constexpr std::uint64_t tricky = (1ull << 63) + (1ull << 39) + 1;
  EXPECT_EQ((Tensor({1.0f}) * tricky).item<float>(), static_cast<float>(tricky));
  EXPECT_EQ((Tensor({1.0}) * tricky).item<double>(), static_cast<double>(tricky));
}

TEST(Errors, OfImpossibleExtentsNameOpAndLine) {
  const std::int64_t huge = std::int64_t{1} << 62;
  expect_error([&] { zeros({huge}); }, ErrorId::impossible_size, {"full", "in one tensor"});
  expect_error([&] { one_hot(Tensor({1, 2}), huge); }, ErrorId::invalid_shape, {"one_hot", "more elements than"});
  expect_error([&] { zeros({huge, huge}); }, ErrorId::invalid_shape, {"full"});
  expect_error([] { zeros({-1}); }, ErrorId::invalid_shape, {"extent -1"});
  expect_error([] { zeros({1, 1, 1, 1, 1, 1, 1, 1, 1}); }, ErrorId::invalid_shape, {"rank 9"});
  expect_error(
      [] {
        scatter_add(ones({2}), Tensor({0, 1}), -3);
      },
      ErrorId::invalid_attribute, {"scatter_add", "extent is -3"});
  expect_error([] { arange(-3); }, ErrorId::invalid_attribute, {"arange", "count is -3"});
}

TEST(Errors, OfIndicesIntoNothing) {
  for (const std::string& device : available_devices()) {
    const DeviceScope scope{Device(device)};
    const auto refuse = [](auto&& call, const std::string& part) {
      expect_error(call, ErrorId::index_out_of_range, {part, "indices of shape"});
    };
    for (DType dtype : {DType::i32, DType::i64}) {
      const Tensor outside = full({4}, 9, dtype), none = zeros({0}, dtype);
      refuse([&] { scatter_add(ones({4}), outside, 0); }, "scatter_add: extent is 0");
      refuse([&] { scatter_add(ones({2, 4}), outside, 0, 1); }, "scatter_add: extent is 0");
      refuse([&] { scatter_add(ones({4, 0}), outside, 0); }, "scatter_add: extent is 0");
      refuse([&] { gather(ones({0, 3}), reshape(outside, {2, 2})); }, "gather: the extent of x along the axis is 0");
      refuse([&] { gather(ones({0, 0}), outside, 1); }, "gather: the extent of x along the axis is 0");
      EXPECT_EQ(scatter_add(ones({0, 3}), none, 0).shape(), (Shape{0, 3}));
      EXPECT_EQ(gather(ones({0, 3}), none).shape(), (Shape{0, 3}));
    }
  }
}

TEST(Errors, OfBatchesAndAxesSayWhatIsWrong) {
  expect_error(
      [] {
        matmul(ones({2, 3, 4}), ones({3, 4, 5}));
      },
      ErrorId::shapes_do_not_broadcast,
      {"matmul: leading dimensions do not broadcast, (2) and (3)", "Tensor f32 (2, 3, 4)"});
  expect_error([] { sum(ones({2, 3}), {.axes = {-3}}); }, ErrorId::axis_out_of_range, {"axis -3 is outside"});
  expect_error([] { sum(ones({2, 3}), {.axes = {1, -1}}); }, ErrorId::axis_out_of_range, {"given twice"});
}

TEST(CrossEntropy, LabelsOutsideGiveNanGradients) {
  for (const DeviceInfo& device : devices()) {
    if (!device.available) continue;
    const DeviceScope scope(Device(device.id));
    const Tensor x = zeros({2, 3});
    GradientTape tape;
    tape.watch(x);
    const Tensor loss = sum(sparse_cross_entropy(x, Tensor({1, 7})));
    const std::vector<float> gradient = tape.gradient(loss, x).to_vector<float>();
    EXPECT_NEAR(gradient[1], -2.0f / 3, 1e-6f) << device.id;
    for (std::size_t i = 3; i < 6; ++i) EXPECT_TRUE(std::isnan(gradient[i])) << device.id << " " << i;
  }
}

TEST(Printing, OfManyEmptyRowsEnds) {
  const std::int64_t many = std::int64_t{1} << 31;
  std::ostringstream out;
  out << zeros({many, many, 0}) << zeros({many, many, many, 0}) << zeros({0, many, many, many});
  EXPECT_LT(out.str().size(), 3000u);
  std::ostringstream small;
  small << zeros({2, 0});
  EXPECT_NE(small.str().find("[[],\n []]"), std::string::npos) << small.str();
}

TEST(Printing, NanHasNoSign) {
  std::ostringstream out;
  out << Tensor({-std::numeric_limits<float>::quiet_NaN(), 1.0f});
  EXPECT_EQ(out.str().find("-nan"), std::string::npos) << out.str();
  EXPECT_NE(out.str().find("nan"), std::string::npos) << out.str();
}

TEST(Printing, IsReadable) {
  std::ostringstream out;
  out << reshape(Tensor({1.5f, -2.0f, 3.25f, 4.0f}), {2, 2});
  EXPECT_NE(out.str().find("Tensor f32 (2, 2) "), std::string::npos);
  EXPECT_NE(out.str().find("[[ 1.5000, -2.0000],\n [ 3.2500,  4.0000]]"), std::string::npos) << out.str();
  std::ostringstream long_out;
  long_out << arange(5000);
  EXPECT_NE(long_out.str().find("…"), std::string::npos);
  EXPECT_LT(long_out.str().size(), 200u);
}

}  // namespace
}  // namespace lockstep
