// Tests of the built-in layers: results, variables, options that are passed to the op, initial values, names and
// errors.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "lockstep/lockstep.h"
#include "runtime/expect_error.h"

namespace lockstep::nn {
namespace {

using Values = std::vector<float>;

Values values(const Tensor& t) { return t.to_vector<float>(); }

std::vector<std::string> names_of(const std::vector<Variable>& variables) {
  std::vector<std::string> names;
  for (const Variable& v : variables) names.push_back(v.name());
  return names;
}

class Layers : public testing::Test {
 protected:
  template <class L>
  static Model model_of(L options, const Shape& input, DType dtype = DType::f32) {
    Model model(Sequential(std::move(options)));
    model.build(input, std::nullopt, dtype);
    return model;
  }
  template <class L>
  static Values run(L options, const Tensor& x) {
    Sequential net(std::move(options));
    return values(net(x));
  }
  static void refuse(ErrorId id, const std::string& part, const std::function<void()>& act) {
    expect_error_saying(act, id, {part}, nullptr, true);
  }

  DeviceScope scope{Device("reference")};
};

TEST_F(Layers, DenseIsAProductAndASum) {
  Model model = model_of(Dense{.units = 2}, {3});
  const std::vector<Variable> v = model.variables();
  ASSERT_EQ(v.size(), 2u);
  EXPECT_EQ(v[0].shape(), (Shape{3, 2}));
  EXPECT_EQ(v[1].shape(), (Shape{2}));
  EXPECT_EQ(values(v[1].read()), (Values{0, 0}));
  Variable(v[0]).assign(reshape(Tensor({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}), {3, 2}));
  Variable(v[1]).assign(Tensor({10.0f, 20.0f}));
  EXPECT_EQ(values(model.predict(reshape(Tensor({1.0f, 0.0f, 2.0f}), {1, 3}))), (Values{21, 34}));
  EXPECT_EQ(model.predict(ones({2, 5, 3})).shape(), (Shape{2, 5, 2})) << "over the last dimension";
}

TEST_F(Layers, DenseOptions) {
  EXPECT_EQ(model_of(Dense{.units = 2, .use_bias = false}, {3}).variables().size(), 1u);
  EXPECT_EQ(run(Dense{.units = 1, .activation = relu, .kernel = Initializer::constant(-1)}, ones({1, 2})), Values{0});
  EXPECT_EQ(run(Dense{.units = 1, .kernel = Initializer::ones(), .bias = Initializer::constant(0.5)}, ones({1, 2})),
            Values{2.5f});
  EXPECT_EQ(names_of(model_of(Dense{.units = 2, .name = "head"}, {3}).variables()),
            (std::vector<std::string>{"head/kernel", "head/bias"}));
  for (std::int64_t units : {0, -3})
    refuse(ErrorId::invalid_attribute, "units is " + std::to_string(units), [&] { Sequential(Dense{.units = units}); });
  refuse(ErrorId::wrong_rank, "needed is (batch, …, features)", [] { Sequential(Dense{.units = 1})(ones({3})); });
}

TEST_F(Layers, Conv2dOptionsReachTheOp) {
  const Tensor x = reshape(arange(36, DType::f32), {1, 6, 6, 1});
  const auto shape_of = [&](Conv2d options) {
    options.filters = 2;
    Sequential net(options);
    return net(x).shape();
  };
  EXPECT_EQ(shape_of({}), (Shape{1, 4, 4, 2}));
  EXPECT_EQ(shape_of({.kernel = 2}), (Shape{1, 5, 5, 2}));
  EXPECT_EQ(shape_of({.strides = 2}), (Shape{1, 2, 2, 2}));
  EXPECT_EQ(shape_of({.padding = Padding::same()}), (Shape{1, 6, 6, 2}));
  EXPECT_EQ(shape_of({.dilation = 2}), (Shape{1, 2, 2, 2}));
  const Conv2d ones{.filters = 1, .kernel = 2, .kernel_initializer = Initializer::ones()};
  EXPECT_EQ(run(ones, x)[0], 0 + 1 + 6 + 7);
  Conv2d biased = ones, cut = ones, bare = ones, named = ones;
  biased.bias_initializer = Initializer::constant(2);
  EXPECT_EQ(run(biased, x)[0], 16);
  cut.kernel_initializer = Initializer::constant(-1);
  cut.activation = relu;
  EXPECT_EQ(run(cut, x)[0], 0);
  bare.use_bias = false;
  EXPECT_EQ(model_of(bare, {6, 6, 1}).variables().size(), 1u);
  named.name = "edges";
  EXPECT_EQ(names_of(model_of(named, {6, 6, 1}).variables()), (std::vector<std::string>{"edges/kernel", "edges/bias"}));
}

TEST_F(Layers, Conv2dGroupsSplitTheChannels) {
  Model model = model_of(Conv2d{.filters = 4, .kernel = 1, .groups = 2}, {2, 2, 6});
  EXPECT_EQ(model.variables()[0].shape(), (Shape{4, 1, 1, 3}));
  EXPECT_EQ(model.variables()[1].shape(), (Shape{4}));
  refuse(ErrorId::invalid_attribute, "6 channels do not split into 4 groups", [] {
    model_of(Conv2d{.filters = 4, .groups = 4}, {5, 5, 6});
  });
  refuse(ErrorId::invalid_attribute, "0 groups", [] { model_of(Conv2d{.filters = 4, .groups = 0}, {5, 5, 6}); });
  refuse(ErrorId::invalid_attribute, "filters is 0", [] { Sequential(Conv2d{}); });
  refuse(ErrorId::invalid_attribute, "kernel is 0", [] { Sequential(Conv2d{.filters = 1, .kernel = 0}); });
  refuse(ErrorId::wrong_rank, "(batch, height, width, channels)", [] {
    Sequential(Conv2d{.filters = 1})(ones({1, 5, 5}));
  });
}

TEST_F(Layers, PoolsHaveTheirWindowAsStrides) {
  const Tensor x = reshape(arange(16, DType::f32), {1, 4, 4, 1});
  EXPECT_EQ(run(MaxPool2d{}, x), (Values{5, 7, 13, 15}));
  EXPECT_EQ(run(AvgPool2d{}, x), (Values{2.5f, 4.5f, 10.5f, 12.5f}));
  EXPECT_EQ(run(MaxPool2d{.window = 3, .strides = 1}, x), (Values{10, 11, 14, 15}));
  EXPECT_EQ(run(AvgPool2d{.window = 3, .strides = 1}, x), (Values{5, 6, 9, 10}));
  EXPECT_EQ(run(MaxPool2d{.window = 3, .padding = Padding::same()}, x).size(), 4u);
  EXPECT_EQ(run(AvgPool2d{.window = 4, .padding = Padding::same()}, x), (Values{7.5f}));
  EXPECT_EQ(run(GlobalMaxPool2d{}, x), (Values{15}));
  EXPECT_EQ(run(GlobalAvgPool2d{}, x), (Values{7.5f}));
}

TEST_F(Layers, ConvolveAndPoolOverOneAxis) {
  const Tensor x = reshape(arange(6, DType::f32), {1, 6, 1});
  Conv1d pairs{.filters = 1, .kernel = 2, .kernel_initializer = Initializer::ones()};
  EXPECT_EQ(run(pairs, x), (Values{1, 3, 5, 7, 9}));
  pairs.strides = 2;
  pairs.dilation = 2;
  pairs.padding = Padding::of(1, 1);
  pairs.activation = relu;
  pairs.bias_initializer = Initializer::constant(-3);
  // The windows read -1 and 1, 1 and 3, 3 and 5.
  EXPECT_EQ(run(pairs, x), (Values{0, 1, 5}));
  Model model = model_of(Conv1d{.filters = 4, .kernel = 5, .groups = 2}, {7, 6});
  EXPECT_EQ(model.variables()[0].shape(), (Shape{4, 5, 3}));
  EXPECT_EQ(names_of(model.variables()), (std::vector<std::string>{"conv1d/kernel", "conv1d/bias"}));
  EXPECT_EQ(run(MaxPool1d{}, x), (Values{1, 3, 5}));
  EXPECT_EQ(run(AvgPool1d{.window = 3, .strides = 1}, x), (Values{1, 2, 3, 4}));
  refuse(ErrorId::wrong_rank, "(batch, width, channels)", [] { Sequential(Conv1d{.filters = 1})(ones({1, 5})); });
  refuse(ErrorId::invalid_attribute, "filters is 0", [] { Sequential(Conv1d{}); });
}

TEST_F(Layers, ConvolveAndPoolOverThreeAxes) {
  const Tensor x = reshape(arange(8, DType::f32), {1, 2, 2, 2, 1});
  const Conv3d sums{.filters = 1, .kernel = 2, .kernel_initializer = Initializer::ones()};
  EXPECT_EQ(run(sums, x), (Values{28}));
  Conv3d same{.filters = 1, .padding = Padding::same(), .use_bias = false, .kernel_initializer = Initializer::ones()};
  EXPECT_EQ(run(same, x), Values(8, 28));
  Model model = model_of(Conv3d{.filters = 4, .kernel = 2, .groups = 2}, {3, 3, 3, 6});
  EXPECT_EQ(model.variables()[0].shape(), (Shape{4, 2, 2, 2, 3}));
  EXPECT_EQ(run(MaxPool3d{}, x), (Values{7}));
  EXPECT_EQ(run(AvgPool3d{}, x), (Values{3.5f}));
  EXPECT_EQ(run(MaxPool3d{.window = 1, .strides = 2}, x), (Values{0}));
  refuse(ErrorId::wrong_rank, "(batch, depth, height, width, channels)", [] {
    Sequential(Conv3d{.filters = 1})(ones({1, 5, 5, 1}));
  });
}

TEST_F(Layers, FunctionsAreThose) {
  const Tensor x = reshape(Tensor({-1.0f, 0.0f, 2.0f}), {1, 3});
  EXPECT_EQ(run(Relu{}, x), values(relu(x)));
  EXPECT_EQ(run(Gelu{}, x), values(gelu(x)));
  EXPECT_EQ(run(Silu{}, x), values(silu(x)));
  EXPECT_EQ(run(Sigmoid{}, x), values(sigmoid(x)));
  EXPECT_EQ(run(Tanh{}, x), values(tanh(x)));
  EXPECT_EQ(run(Softmax{}, x), values(softmax(x)));
  EXPECT_EQ(run(Lambda{[](const Tensor& y) { return y * 3; }}, x), (Values{-3, 0, 6}));
  Sequential flat(Flatten{});
  EXPECT_EQ(flat(ones({2, 3, 4, 5})).shape(), (Shape{2, 60}));
}

TEST_F(Layers, DropoutActsInTrainingAlone) {
  Sequential net(Dropout{.rate = 0.25});
  const Tensor x = ones({4000});
  EXPECT_EQ(values(net(x)), values(x));
  RandomScope random(RandomKey{3, 3});
  const Values y = values(net(x, {.training = true}));
  const auto zeros = std::count(y.begin(), y.end(), 0.0f);
  EXPECT_NEAR(static_cast<double>(zeros), 1000, 150);
  for (float v : y) EXPECT_TRUE(v == 0 || v == 1.0f / 0.75f) << v;
  Sequential none(Dropout{.rate = 0});
  const RandomKey before = random_position();
  EXPECT_EQ(values(none(x, {.training = true})), values(x));
  EXPECT_EQ(random_position().stream, before.stream) << "a rate of 0 draws nothing";
  for (double rate : {-0.1, 1.0, std::nan("")})
    refuse(ErrorId::invalid_attribute, "the rate is", [&] { Sequential(Dropout{.rate = rate}); });
}

// --------------------------------------------------------------------------------------------------------------- names

class Block : public Layer {
 public:
  explicit Block(std::int64_t units)
      : Layer("block"), first_(add(Dense{.units = units})), second_(add(Dense{.units = units})) {}
  void build(const Shape& input) override { scale_ = add_variable("scale", ones({input[-1]}), false); }
  Tensor call(const Tensor& x, const Call& c) const override { return second_(first_(x * *scale_, c), c); }

 private:
  Layer &first_, &second_;
  std::optional<Variable> scale_;
};

TEST_F(Layers, NamesAreNumberedAmongSiblings) {
  Model model(Sequential(Dense{.units = 2}, Block(2), Dense{.units = 2}, Block(2), Dense{.units = 2, .name = "dense"}));
  EXPECT_FALSE(model.built());
  model.build({2});
  EXPECT_TRUE(model.built());
  EXPECT_EQ(
      names_of(model.variables()),
      (std::vector<std::string>{"dense/kernel", "dense/bias", "block/scale", "block/dense/kernel", "block/dense/bias",
                                "block/dense_1/kernel", "block/dense_1/bias", "dense_1/kernel", "dense_1/bias",
                                "block_1/scale", "block_1/dense/kernel", "block_1/dense/bias", "block_1/dense_1/kernel",
                                "block_1/dense_1/bias", "dense_2/kernel", "dense_2/bias"}))
      << "its own first, then its children's";
  const std::vector<std::string> trainable = names_of(model.trainable_variables());
  EXPECT_EQ(trainable.size(), 14u);
  EXPECT_EQ(std::count(trainable.begin(), trainable.end(), "block/scale"), 0);
}

TEST_F(Layers, ALayerKnowsWhatItIs) {
  Sequential net(Dense{.units = 2, .name = "head"}, Relu{});
  const Layer& head = *net.children()[0];
  EXPECT_EQ(head.name(), "head");
  EXPECT_EQ(head.type_name(), "dense");
  EXPECT_EQ(net.children()[1]->name(), "relu");
  EXPECT_FALSE(head.built());
  EXPECT_TRUE(head.variables().empty());
  net(ones({1, 3}));
  EXPECT_TRUE(head.built());
  EXPECT_EQ(head.own_variables().size(), 2u);
  EXPECT_TRUE(net.own_variables().empty());
  EXPECT_EQ(net.variables().size(), 2u);
  net.forget_variables();
  EXPECT_FALSE(head.built());
  EXPECT_TRUE(net.variables().empty());
}

TEST_F(Layers, ErrorsNameTheScopeOfTheCall) {
  Sequential net(Dense{.units = 2, .name = "head"});
  net(ones({1, 3}));
  const auto message = [&](const char* outer) -> std::string {
    NameScope around(outer);
    try {
      net(ones({1, 4}));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(message("first").find("first/sequential/head"), std::string::npos) << message("first");
  EXPECT_NE(message("second").find("second/sequential/head"), std::string::npos) << message("second");
}

TEST_F(Layers, WeightsHaveTheDtypeOfTheInput) {
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    for (const Variable& v : model_of(Dense{.units = 2}, {3}, dtype).variables()) EXPECT_EQ(v.dtype(), dtype);
  }
  Sequential net(Lambda{[](const Tensor& x) { return x; }}, Block(1));
  Sequential integers(Lambda{[](const Tensor& x) { return cast(x, DType::f32); }}, Dense{.units = 1});
  integers(ones({1, 3}, DType::i32));
  EXPECT_EQ(integers.variables()[0].dtype(), DType::f32);
}

TEST_F(Layers, WithWeightsTakeFloatingInputs) {
  for (DType dtype : {DType::i32, DType::i64, DType::u8, DType::boolean}) {
    const std::string part = "the input is " + std::string(name_of(dtype)) + ", the layer takes f32";
    refuse(ErrorId::dtype_not_accepted, "dense: " + part, [&] { model_of(Dense{.units = 2}, {3}, dtype); });
    refuse(ErrorId::dtype_not_accepted, "cast the input", [&] { model_of(Dense{.units = 2}, {3}, dtype); });
    refuse(ErrorId::dtype_not_accepted, "conv1d: " + part, [&] { model_of(Conv1d{.filters = 2}, {5, 1}, dtype); });
    refuse(ErrorId::dtype_not_accepted, "conv2d: " + part, [&] { model_of(Conv2d{.filters = 2}, {5, 5, 1}, dtype); });
    EXPECT_EQ(model_of(Flatten{}, {3, 2}, dtype).predict(ones({1, 3, 2}, dtype)).dtype(), dtype);
  }
}

// ------------------------------------------------------------------------------------------------------ initial values

struct Moments {
  double mean, deviation, largest;
};
Moments moments(const Tensor& t) {
  const Values v = values(t);
  double sum = 0, squares = 0, largest = 0;
  for (float x : v) {
    sum += static_cast<double>(x);
    squares += static_cast<double>(x) * static_cast<double>(x);
    largest = std::max(largest, std::fabs(static_cast<double>(x)));
  }
  const auto n = static_cast<double>(v.size());
  return {sum / n, std::sqrt(squares / n - sum * sum / n / n), largest};
}

class Initial : public Layers {
 protected:
  static Moments of(const Initializer& initializer, double fan_in = 100, double fan_out = 300) {
    return moments(initializer.make({200, 100}, DType::f32, fan_in, fan_out));
  }
  // With 20,000 samples these tolerances are at least four standard errors wide.
  static void expect_spread(const Moments& m, double deviation) {
    EXPECT_NEAR(m.mean, 0, deviation * 0.03);
    EXPECT_NEAR(m.deviation, deviation, deviation * 0.02);
  }
  RandomScope random{RandomKey{5, 5}};
};

TEST_F(Initial, ConstantsAreConstant) {
  EXPECT_EQ(values(Initializer::zeros().make({2}, DType::f32, 1, 1)), (Values{0, 0}));
  EXPECT_EQ(values(Initializer::ones().make({2}, DType::f32, 1, 1)), (Values{1, 1}));
  EXPECT_EQ(values(Initializer::constant(-2.5).make({2}, DType::f32, 1, 1)), (Values{-2.5f, -2.5f}));
  EXPECT_EQ(Initializer::ones().make({2}, DType::bf16, 1, 1).dtype(), DType::bf16);
}

TEST_F(Initial, SpreadsAreThePublishedOnes) {
  const Moments uniform = of(Initializer::uniform(0.3));
  expect_spread(uniform, 0.3 / std::sqrt(3.0));
  EXPECT_LE(uniform.largest, 0.3);
  EXPECT_GT(uniform.largest, 0.299);
  expect_spread(of(Initializer::normal(0.3)), 0.3);
  const Moments truncated = of(Initializer::truncated_normal(0.3));
  EXPECT_LE(truncated.largest, 0.6);
  EXPECT_GT(truncated.largest, 0.59);
  expect_spread(truncated, 0.3 * 0.87962566103423978);
  // The variances are 2 / (in + out) and 2 / in.
  const Moments glorot = of(Initializer::glorot_uniform());
  expect_spread(glorot, std::sqrt(2.0 / 400));
  EXPECT_LE(glorot.largest, std::sqrt(6.0 / 400));
  expect_spread(of(Initializer::glorot_normal()), std::sqrt(2.0 / 400));
  const Moments he = of(Initializer::he_uniform());
  expect_spread(he, std::sqrt(2.0 / 100));
  EXPECT_LE(he.largest, std::sqrt(6.0 / 100));
  expect_spread(of(Initializer::he_normal()), std::sqrt(2.0 / 100));
  expect_spread(of({Initializer::Kind::variance_normal, 3, Initializer::Fan::out}), std::sqrt(3.0 / 300));
}

TEST_F(Initial, FansOfTheLayers) {
  const auto largest = [](const Model& model) { return moments(model.variables()[0].read()).largest; };
  // The uniform distribution is limited to ± sqrt(6 / (in + out)).
  EXPECT_NEAR(largest(model_of(Dense{.units = 50}, {400})), std::sqrt(6.0 / 450), 1e-3);
  const double fan = 9.0 * 16 + 9.0 * 40;
  EXPECT_NEAR(largest(model_of(Conv2d{.filters = 40, .kernel = 3}, {8, 8, 16})), std::sqrt(6.0 / fan), 1e-3);
  const double grouped = 9.0 * 8 + 9.0 * 40;
  EXPECT_NEAR(largest(model_of(Conv2d{.filters = 40, .kernel = 3, .groups = 2}, {8, 8, 16})), std::sqrt(6.0 / grouped),
              1e-3);
  Conv2d he{.filters = 40, .kernel = 3, .groups = 2, .kernel_initializer = Initializer::he_uniform()};
  EXPECT_NEAR(largest(model_of(he, {8, 8, 16})), std::sqrt(6.0 / 72), 2e-3);
}

TEST_F(Initial, EachWeightIsDrawnAnewAndTheSeedDecides) {
  const auto weights = [](std::uint64_t seed) {
    set_seed(seed);
    Model model(Sequential(Dense{.units = 3}, Dense{.units = 3}));
    model.build({3});
    return std::pair(values(model.variables()[0].read()), values(model.variables()[2].read()));
  };
  const auto first = weights(1);
  EXPECT_NE(first.first, first.second);
  EXPECT_EQ(weights(1), first);
  EXPECT_NE(weights(2), first);
}

TEST_F(Initial, HalfWidthNumbersAreTheRoundedDraws) {
  const auto make = [](DType dtype) {
    RandomScope again(RandomKey{1, 1});
    return Initializer::glorot_uniform().make({50}, dtype, 10, 10);
  };
  for (DType dtype : {DType::f16, DType::bf16}) {
    EXPECT_EQ(make(dtype).dtype(), dtype);
    EXPECT_EQ(make(dtype).to_bytes(), cast(make(DType::f32), dtype).to_bytes());
  }
}

}  // namespace
}  // namespace lockstep::nn
